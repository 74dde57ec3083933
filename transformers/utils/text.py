"""Text that was read from a file, or is the name of one, made fit for a terminal."""

from __future__ import annotations

_LONGEST_MESSAGE = 2000  # characters; a damaged file can put megabytes into a message about it
_LONGEST_QUOTE = 80  # characters of a value in a message, so that the reason beside it stays in sight


def one_line(message: object) -> str:
    """Return the message of an error: printable, and cut where it is very long."""
    shown = printable(message)
    return shown if len(shown) <= _LONGEST_MESSAGE else f"{shown[:_LONGEST_MESSAGE]} ..."


def quoted(value: object, longest: int = _LONGEST_QUOTE) -> str:
    """Return a value as a message shows it: text in quotes, and the end of what is long left out.

    Args:
        value: what was found in a file, or given.
        longest: characters that it may take, at least 5.

    Example:
        >>> quoted("a word"), quoted(0.5), quoted("word " * 100, longest=20)
        ("'a word'", '0.5', "'word word word ...")
    """
    shown = printable(repr(value))
    return shown if len(shown) <= longest else f"{shown[: longest - 4].rstrip()} ..."


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
