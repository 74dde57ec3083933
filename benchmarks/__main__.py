"""The command `python -m benchmarks`; what it measures stands in `benchmarks/__init__.py`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from glue.errors import UsageError

from .options import parse_options
from .workers import Pool, WorkerError


def main(argv: list[str] | None = None) -> int:
    """Measure and write the tables.

    Returns:
        Exit status: 0 done; 1 a worker failed (what was measured before is written); 2 wrong arguments or data; 130
        interrupted.
    """
    options = parse_options(argv)
    from .inputs import prepare
    from .parts import Bench
    from .report import write_report

    # As Ctrl-C: the working folder goes, and so do the workers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    output = Path(options.output).absolute()
    output.mkdir(parents=True, exist_ok=True)
    for log in output.glob("*.log"):
        log.unlink()
    with tempfile.TemporaryDirectory(prefix="contranorm-bench-") as name:
        folder = Path(name)
        pool = Pool(options.stock_command, options.num_threads, folder, output)
        try:
            load = os.getloadavg()[0]
            if load > 1:
                _say(f"Note: the load is {load:.1f} before anything was started; other programs make the numbers noisy")
            _say("Preparing data and checkpoints")
            inputs = prepare(options, folder)
            Bench(options, inputs, pool, partial(write_report, output, options, inputs, load_before=load), _say).run()
        except UsageError as error:
            return _fail(error, 2)
        except WorkerError as error:
            return _fail(error, 1)
        except KeyboardInterrupt:
            return _fail("interrupted; what was measured before is written", 130)
        finally:
            pool.close()
    print((output / "bench.md").read_text(encoding="utf-8"))
    _say(f"Written: {output}/bench.md and bench.json")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fail(problem: object, status: int) -> int:
    _say(f"benchmarks: error: {' '.join(str(problem).split())}")
    return status


if __name__ == "__main__":
    sys.exit(main())
