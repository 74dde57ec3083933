"""From a dataclass of flags to an `argparse` parser with grouped help; the flags are in `glue/cli/arguments.py`."""

from __future__ import annotations

import argparse
from dataclasses import field, fields
from typing import Any, NoReturn, get_args, get_type_hints

from transformers.utils.text import one_line


def flag(group: str, help: str, default: Any = None, **options: Any) -> Any:
    """Return a dataclass field that is also a flag.

    Args:
        group: title of the group under which `--help` lists it.
        help: what `--help` says; the default is added.
        default: value where the flag is not given.
        options: further arguments of `ArgumentParser.add_argument`.
    """
    return field(default=default, metadata={"group": group, "help": help, "options": options})


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints are one line: the usage of so many flags would bury it."""

    def error(self, message: str) -> NoReturn:
        """Print `message` on stderr and exit with status 2."""
        self.exit(2, f"{self.prog}: error: {one_line(message)}\n")


def build_parser(arguments: type, groups: dict[str, str], **options: Any) -> OneLineParser:
    """Return the parser for the fields of a dataclass made by `flag`; its namespace holds only the given flags.

    A `bool` field is a switch, a `bool | None` field one with a `--no-` twin, any other one takes a value of its type.

    Args:
        arguments: the dataclass.
        groups: title and note of each group, in the order of the help.
        options: further arguments of `ArgumentParser`.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Size:
        ...     width: int = flag("size", "in metres", 3)
        >>> vars(build_parser(Size, {"size": "how large"}).parse_args(["--width", "4"]))
        {'width': 4}
    """
    parser = OneLineParser(argument_default=argparse.SUPPRESS, allow_abbrev=False, **options)
    sections = {title: parser.add_argument_group(title, note) for title, note in groups.items()}
    hints = get_type_hints(arguments)
    for item in fields(arguments):
        if "group" not in item.metadata:
            continue
        settings: dict[str, Any] = dict(item.metadata["options"])
        kinds = get_args(hints[item.name]) or (hints[item.name],)
        if bool in kinds:
            settings["action"] = argparse.BooleanOptionalAction if type(None) in kinds else "store_true"
        else:
            settings.setdefault("type", kinds[0])
        help = item.metadata["help"].replace("%", "%%")
        if item.default is not None and item.default is not False:
            help += f" (default: {item.default})"
        sections[item.metadata["group"]].add_argument(f"--{item.name}", help=help, **settings)
    return parser
