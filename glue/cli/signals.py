"""Stopping when asked to: SIGTERM, SIGINT, SIGHUP (a closed terminal), and SIGUSR1, which clusters send before they
take a machine away.

The first signal is noted, so that the loop can finish its update and write a checkpoint; where there is nothing to
finish it raises `Stopped`. A second one ends the process at once, but for SIGHUP: the shell and the system both send
one when a terminal closes. Either way the exit status is 128 + the signal's number, as a shell reports it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .console import say, say_at_once

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP") if hasattr(signal, name)]

# A scheduler that signals every process of a job reaches a run twice: directly, and through the script that started
# it and passes the signal on. Both are one wish, and arrive within moments.
_SAME_WISH = 0.2  # seconds


class Stopped(BaseException):
    """The run was asked to stop, and does. No `Exception`: nobody but `main` may take it for an error and go on.

    Args:
        number: the signal's number.
        how_to_go_on: what the person who started the run is told.
    """

    def __init__(self, number: int, how_to_go_on: str = "nothing was saved") -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}: {how_to_go_on}")
        self.status = 128 + number


class StopSignals:
    """Listens for signals while its `with` block lasts.

    Attributes:
        received: number of the first signal; 0 as long as there was none.

    Example:
        >>> with StopSignals() as signals:
        ...     os.kill(os.getpid(), signal.SIGUSR1)
        ...     signal.Signals(signals.received).name
        'SIGUSR1'
    """

    def __init__(self) -> None:
        self.received = 0
        self._since = 0.0
        self._raises = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup and its like: what is ignored stays so
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def at_once(self, enabled: bool = True) -> Iterator[None]:
        """Within the block, a signal raises `Stopped` instead of being noted; so does one that came before.

        Args:
            enabled: False changes nothing.
        """
        self._raises = enabled
        try:
            if enabled and self.received:
                raise Stopped(self.received)
            yield
        finally:
            self._raises = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        is_hangup = signal.Signals(number).name == "SIGHUP"
        if self.received and (is_hangup or time.monotonic() - self._since < _SAME_WISH):
            return
        if self.received:
            say_at_once("stopped by a second signal, at once")
            os._exit(128 + number)
        self.received, self._since = number, time.monotonic()
        if self._raises:
            raise Stopped(number)
        if say.on:
            say_at_once(f"\n{signal.Signals(number).name}: stopping after this update; a second signal stops at once")
