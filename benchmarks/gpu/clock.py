"""A clock that lets things begin only if they are likely to end in time."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """The time of a benchmark.

    Args:
        seconds: how long it may take.
        now: the time that passes; another one in tests.

    Example:
        >>> passed = iter([0.0, 10.0, 10.0, 40.0, 40.0])
        >>> clock = Clock(60, now=lambda: next(passed))
        >>> clock.allows("a row", guess=45), clock.allows("a row", guess=45)
        (True, False)
    """

    _MARGIN = 5.0  # seconds, for what comes after the last row

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._end = now() + seconds
        self._longest: dict[str, float] = {}

    @property
    def left(self) -> float:
        """Seconds until the end, and never below 0."""
        return max(0.0, self._end - self._now() - self._MARGIN)

    def allows(self, kind: str, guess: float) -> bool:
        """Whether something may begin.

        Args:
            kind: what it is like: the longest of its kind says how long it takes.
            guess: seconds that the first one is taken to take.
        """
        return self._longest.get(kind, guess) <= self.left

    def note(self, kind: str, seconds: float) -> None:
        """Remember how long something took."""
        self._longest[kind] = max(seconds, self._longest.get(kind, 0.0))
