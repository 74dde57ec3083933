"""The points of a sweep: each is one run of `run_glue_no_trainer.py`, with a name that no other point has."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glue.cli.arguments import RunArguments
from glue.errors import UsageError
from transformers.utils.text import printable

# What a plain model does not depend on.
_OF_CONTRANORM = ("pos", "tau", "use_v2", "contranorm_padding")
# Switches that a checkpoint may have set, so that False says more than nothing does.
_WITH_TWIN = ("use_v2",)


@dataclass(frozen=True)
class Point:
    """The flags of a run, without those of its output.

    Attributes:
        flags: name and value of each flag, sorted by name.

    Example:
        >>> point = Point.of({"demo": True, "task_name": "RTE", "scale": 0.0, "pos": "7"})
        >>> point.words
        ['--demo', '--scale', '0.0', '--seed', '2021', '--task_name', 'rte']
        >>> point == Point.of({"demo": True, "task_name": "rte", "scale": 0.0, "pos": "17"})
        True
    """

    flags: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, flags: dict[str, Any]) -> Point:
        """Return the point of these flags. With scale 0, or at no position, it is that of the plain model.

        Raises:
            UsageError: it cannot be run: a value is out of range, or two flags exclude each other.
        """
        checked = RunArguments(**flags)
        flags = {"seed": checked.seed, **flags}
        if checked.task_name is not None:
            flags["task_name"] = checked.task_name
        if checked.scale == 0 or checked.pos in ("0", "none"):
            flags = {name: value for name, value in flags.items() if name not in _OF_CONTRANORM}
            flags["scale"] = 0.0
        said = ((name, value) for name, value in flags.items() if value is not False or name in _WITH_TWIN)
        return cls(tuple(sorted(said)))

    def __getitem__(self, flag: str) -> Any:
        """The value of a flag, None where it is not given."""
        return dict(self.flags).get(flag)

    @property
    def key(self) -> str:
        """Tells this point from every other one: equal flags have an equal key."""
        return hashlib.sha256(json.dumps(self.flags).encode()).hexdigest()[:10]

    @property
    def task(self) -> str:
        """The GLUE task, or the name of the user's own training file."""
        return str(self["task_name"] or Path(self["train_file"] or "demo").stem)

    @property
    def title(self) -> str:
        """What people are told about it: task, scale, position and seed."""
        parts = [self.task]
        parts += [f"{name} {self[name]}" for name in ("scale", "pos") if self[name] is not None]
        return printable(" ".join([*parts, f"seed {self['seed']}"]))

    @property
    def name(self) -> str:
        """The name of its folder and its log."""
        parts = (self.task, self["scale"], self["pos"], f"seed{self['seed']}", self.key)
        text = "_".join(str(part) for part in parts if part is not None)
        return "".join(letter if letter.isalnum() or letter in "_.-" else "-" for letter in text)[:200]

    @property
    def words(self) -> list[str]:
        """Its command line."""
        words = []
        for name, value in self.flags:
            switch = {True: [f"--{name}"], False: [f"--no-{name}"]}
            words += switch[value] if isinstance(value, bool) else [f"--{name}", str(value)]
        return words


def grid(choices: dict[str, list[Any]]) -> list[Point]:
    """Return every combination of the values, each once; those of the first seed come first.

    Args:
        choices: the values of each flag.

    Raises:
        UsageError: one of them cannot be run.
    """
    names = sorted(choices, key=lambda name: name != "seed")
    points = []
    for values in itertools.product(*(choices[name] for name in names)):
        flags = dict(zip(names, values, strict=True))
        try:
            points.append(Point.of(flags))
        except OSError as error:  # a name that is too long, a folder that may not be entered
            raise UsageError(f"{error.filename}: {error.strerror}") from None
    return list(dict.fromkeys(points))
