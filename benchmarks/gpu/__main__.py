"""The command `python -m benchmarks.gpu`; what it does stands in `benchmarks/gpu/__init__.py`."""

from __future__ import annotations

import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from glue.errors import UsageError

from ..workers import WorkerError
from .clock import Clock
from .options import check_machine, parse_options


def main(argv: list[str] | None = None) -> int:
    """Check and measure, and write what came of it.

    Returns:
        Exit status: 0 done; 1 a check or a row failed; 2 wrong arguments, or no GPU; 130 interrupted.
    """
    options = parse_options(argv)
    clock = Clock(60 * options.minutes)
    try:
        check_machine(options.device)
    except UsageError as error:
        return _fail(error, 2)
    from .bench import Bench
    from .record import record
    from .report import write_report

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the working folder goes, and so do workers
    output = Path(options.output).absolute()
    output.mkdir(parents=True, exist_ok=True)
    for log in output.glob("*.log"):
        log.unlink()
    with tempfile.TemporaryDirectory(prefix="contranorm-gpu-") as name:
        bench = Bench(options, clock, Path(name), output, partial(write_report, output, options), _say)
        try:
            bench.start()
            if options.record:
                record(bench)
            else:
                for part in options.parts:
                    {"checks": bench.check, "steps": bench.measure}[part]()
        except WorkerError as error:
            return _fail(error, 1)
        except KeyboardInterrupt:
            return _fail("interrupted; what was measured before is written", 130)
        finally:
            bench.close()
        write_report(output, options, bench.results)
    print((output / "gpu.md").read_text(encoding="utf-8"))
    _say(f"Written: {output}/gpu.md and gpu.json")
    return 1 if bench.has_failed else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fail(problem: object, status: int) -> int:
    _say(f"benchmarks.gpu: error: {' '.join(str(problem).split())}")
    return status


if __name__ == "__main__":
    sys.exit(main())
