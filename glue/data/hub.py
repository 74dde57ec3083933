"""GLUE from the Hub (`nyu-mll/glue`) or from the local cache of an earlier download."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from transformers.utils.hub import without_password

from ..errors import UsageError
from .glue_folder import to_table
from .table import Table
from .tasks import Task

REPOSITORY = "nyu-mll/glue"
_SECONDS_TO_ANSWER = 5


def load_from_hub(task: Task, splits: Iterable[str]) -> dict[str, Table]:
    """Load splits of a task with `datasets`, which keeps a copy in its cache; those that there are not are left out.

    `HF_ENDPOINT`, `HF_HOME` and `HF_HUB_OFFLINE` are honoured. A Hub that cannot be reached is found out at once, not
    after the library's repeated attempts, and the cache is tried.

    Raises:
        UsageError: neither the Hub nor the cache has the data.
    """
    wanted = list(splits)
    reason = _why_unreachable()
    loaded = _load(task.name, reason)
    if "test_ax" in wanted:  # GLUE's diagnostics are a data set of their own
        with contextlib.suppress(UsageError):
            loaded = {**loaded, "test_ax": _load("ax", reason)["test"]}
    tables = {}
    for split in wanted:
        if split in loaded:
            source = f"{REPOSITORY} {task.name} {split}"
            raw = Table(loaded[split].to_dict(), source)
            tables[split] = to_table([raw], task, split, source)
    return tables


def _load(name: str, reason: str | None) -> Mapping[str, Any]:
    """Load a configuration; `reason` says why the Hub is not asked."""
    import datasets

    try:
        with _offline(datasets.config, reason is not None):
            return datasets.load_dataset(REPOSITORY, name)
    except ImportError:
        raise
    except Exception as error:  # the library passes on whatever its network, file and format layers raise
        reason = reason or " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"the Hub's {REPOSITORY} gave no {name}, nor did its local cache ({reason})") from None


def _why_unreachable() -> str | None:
    """Ask the Hub for any answer at all, and return why there was none."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_SECONDS_TO_ANSWER)
    except Exception as error:  # the session's library, and with it the type of its errors, depends on the version
        hub = without_password(constants.ENDPOINT)
        return f"{hub}: {' '.join(str(error).replace(constants.ENDPOINT, hub).split()) or type(error).__name__}"
    return None


@contextlib.contextmanager
def _offline(config: object, wanted: bool) -> Iterator[None]:
    """Make `datasets` look into its cache only."""
    before = config.HF_HUB_OFFLINE  # type: ignore[attr-defined]
    config.HF_HUB_OFFLINE = before or wanted  # type: ignore[attr-defined]
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before  # type: ignore[attr-defined]
