"""What programs for the stock library ask before they start: whether packages are there, and of which version.

Mirrors Hugging Face's `require_version`, `check_min_version` and the functions around them.
"""

from __future__ import annotations

import importlib.util
import platform
from importlib import metadata
from typing import Any

_LIBRARY = __name__.split(".")[0]


def require_version(requirement: str, hint: str | None = None) -> None:
    """Check that a package is installed, in a version that will do.

    Args:
        requirement: as pip has it, such as "datasets>=1.8.0"; "python>=3.10" is one too.
        hint: what to do where it is not met.

    Raises:
        ImportError: it is missing, or has another version.
        ValueError: the requirement cannot be read.

    Example:
        >>> require_version("numpy>=1.0")
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(requirement)
    except InvalidRequirement as error:
        raise ValueError(f"requirement {requirement!r}: expected one as pip has it, such as numpy>=1.0") from error
    if wanted.name == _LIBRARY:  # which is numbered by itself
        return
    try:
        found = platform.python_version() if wanted.name == "python" else metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        raise ImportError(
            f"{requirement} is required, but {wanted.name} is not installed. {hint or ''}".strip()
        ) from None
    if not wanted.specifier.contains(found, prereleases=True):
        raise ImportError(f"{requirement} is required, but {wanted.name} {found} is installed. {hint or ''}".strip())


def check_min_version(min_version: str) -> None:
    """Accept any version of the stock library: this one, in its place, is numbered by itself.

    What a program needs and this library lacks is named where it is imported.
    """


def send_example_telemetry(example_name: str, *example_args: Any, framework: str = "pytorch") -> None:
    """Send nothing to anybody."""


def is_torch_available() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None
