"""From a dataclass of flags to an `argparse` parser with grouped help; the flags are in `glue/cli/arguments.py`."""

from __future__ import annotations

import argparse
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import field, fields
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

from transformers.utils.text import one_line

from ..errors import UsageError
from .hints import hint
from .paths import expand

Made = TypeVar("Made")

_TOO_MANY = 2**63  # of whatever is counted
_BOUNDS = {
    "least": ("{} or more", operator.ge),
    "above": ("more than {}", operator.gt),
    "most": ("at most {}", operator.le),
    "below": ("below {}", operator.lt),
}


def flag(group: str, help: str, default: Any = None, *, is_path: bool = False, **options: Any) -> Any:
    """Return a dataclass field that is also a flag.

    Args:
        group: title of the group under which `--help` lists it.
        help: what `--help` says; the default is added.
        default: value where the flag is not given.
        is_path: it names a file or a folder, in which `~` is the home folder.
        options: `least` and `most`, the lowest and the highest number that it may be; `above` and `below`, numbers that
            it may not reach; and further arguments of `ArgumentParser.add_argument`.
    """
    bounds = {kind: options.pop(kind) for kind in _BOUNDS if kind in options}
    declared = {"group": group, "help": help, "bounds": bounds, "is_path": is_path, "options": options}
    return field(default=default, metadata=declared)


def check_values(arguments: Any) -> None:
    """Check every value of a dataclass made by `flag` by itself, and expand `~` in its paths.

    Raises:
        UsageError: a text is empty or no UTF-8, or a number is outside the bounds that were declared with its flag.
    """
    for item in fields(arguments):
        value, declared = getattr(arguments, item.name), item.metadata
        if "group" not in declared:
            continue
        values = value if isinstance(value, list) else [value]
        for number, single in enumerate(values):
            if isinstance(single, str):
                _check_text(item.name, single)
                if declared["is_path"]:
                    values[number] = expand(f"--{item.name}", single)
            elif isinstance(single, (int, float)) and not isinstance(single, bool):
                _check_number(item.name, single, declared["bounds"])
        setattr(arguments, item.name, value if isinstance(value, list) else values[0])


def _check_text(name: str, text: str) -> None:
    # An empty path is the current folder to pathlib; on a command line it is an unset variable of a script.
    if text == "":
        raise UsageError(f"--{name} is empty: give a value, or leave it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"--{name} {text}: expected a name in UTF-8") from None


def _check_number(name: str, value: float, bounds: dict[str, float]) -> None:
    if isinstance(value, int) and value >= _TOO_MANY:
        bounds = {"below": _TOO_MANY, **bounds}
    if all(_BOUNDS[kind][1](value, bound) for kind, bound in bounds.items()) and math.isfinite(value):
        return
    expected = " and ".join(_BOUNDS[kind][0].format(bound) for kind, bound in bounds.items())
    shown = f"{value:g}" if isinstance(value, float) else value
    raise UsageError(f"--{name} {shown}: expected {expected or 'a finite number'}")


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints are one line: the usage of so many flags would bury it."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse a command line; what is not recognized is an error with a hint at what there is."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint(unknown, self._option_string_actions)}")
        return found

    def read(self, make: Callable[[dict[str, Any]], Made], argv: Sequence[str] | None) -> Made:
        """Return what `make` makes of a command line; what it refuses is one line, and exit status 2.

        Args:
            make: takes the given flags.
            argv: the words after the script's name; None takes them from `sys.argv`.
        """
        given = vars(self.parse_args(argv))
        try:
            return make(given)
        except UsageError as error:
            self.error(str(error))
        except OSError as error:  # a name that is too long, a folder that may not be entered
            self.error(f"{error.filename}: {error.strerror}")

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
            path = ("FILE" if item.name.endswith("_file") else "DIR") if item.metadata["is_path"] else None
            if "choices" not in settings:
                settings.setdefault("metavar", {int: "N", float: "X"}.get(kinds[0], path))
        help = item.metadata["help"].replace("%", "%%")
        if item.default is not None and item.default is not False:
            help += f" (default: {item.default})"
        sections[item.metadata["group"]].add_argument(f"--{item.name}", help=help, **settings)
    return parser
