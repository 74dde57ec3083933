"""The models, one folder each, and the classes that choose among them (`auto`).

Each folder offers, as the stock library's does, what the whole library offers out of its modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def names_of(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package in here.

    Args:
        package: its `__name__`.

    Example:
        >>> names_of("transformers.models.bert")("BertConfig").__name__
        'BertConfig'
    """

    def load(name: str) -> Any:
        import transformers

        found = None if name.startswith("_") else getattr(transformers, name, None)
        if not str(getattr(found, "__module__", "")).startswith(f"{package}."):
            raise AttributeError(f"{package} has no {name!r}", name=name)
        return found

    return load
