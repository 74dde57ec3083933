"""The far end of a pipe: answers jobs, one JSON line each, until the pipe is closed.

{"job": "train", "batches": [[4, 0], [2, 7]]}   ->   {"result": {"seconds": 0.8, ...}}
                                                 or   {"error": "ValueError: ...", "traceback": "..."}
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any


def serve(make_jobs: Callable[[], Mapping[str, Callable[..., Any]]]) -> None:
    """Answer jobs from standard input on standard output; what libraries print goes to standard error.

    Args:
        make_jobs: returns the functions by the names of their jobs. It is called here because it imports: what goes
            wrong in it is the answer to the first job.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    jobs: Mapping[str, Callable[..., Any]] | None = None
    for line in sys.stdin:
        answer: dict[str, Any]
        try:
            jobs = make_jobs() if jobs is None else jobs
            message = json.loads(line)
            answer = {"result": jobs[message.pop("job")](**message)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
