"""Text that was read from a file, or is the name of one, made fit for a terminal."""

from __future__ import annotations

_LONGEST_MESSAGE = 2000  # characters; a damaged file can put megabytes into a message about it


def one_line(message: object) -> str:
    """Return the message of an error: printable, and cut where it is very long."""
    shown = printable(message)
    return shown if len(shown) <= _LONGEST_MESSAGE else f"{shown[:_LONGEST_MESSAGE]} ..."


def printable(text: object, keep: str = "") -> str:
    r"""Return text whose control characters, line ends among them, are shown as escapes instead of taking effect.

    Characters without a shape of their own are escaped too: those that turn the direction of writing, and separators
    other than the space.

    Args:
        text: what to show.
        keep: characters to leave as they are.

    Example:
        >>> print(printable("red\x1b[31m\nline"))
        red\x1b[31m\nline
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        character
        if character.isprintable() or character in keep
        else character.encode("unicode_escape").decode("ascii")
        for character in shown
    )
