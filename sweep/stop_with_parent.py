"""Run a command that is asked to stop when the process that started it dies, however it dies.

    python stop_with_parent.py PARENT COMMAND [WORD...]

Without it, a killed worker would leave a run behind that goes on in the dark. Only Linux can tell; elsewhere the run
goes on to its end, and who takes over its point waits for it.
"""

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1  # of prctl(2)


def main() -> None:
    """Become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != int(parent):  # it has died in the meantime
            sys.exit(128 + signal.SIGTERM)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
