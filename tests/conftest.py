"""What all tests share: no network, and a look at what the library logged."""

import logging
import os
import signal

import pytest

# Before anything imports huggingface_hub, which reads it once: a test that asks a real server is a mistake. Tests of
# downloads start a server of their own and a sub-process that may use it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would the runs that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Nothing goes into the user's caches, nor comes from there; sub-processes inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """A program that is Python, without the seconds of its imports; see helpers/quick_python.py."""
    from quick_python import quick_python

    with quick_python(tmp_path_factory.mktemp("python")) as program:
        yield program


@pytest.fixture
def library_log():
    """Messages of the library at level info and above, as one list of strings that grows."""
    messages: list[str] = []

    class _Collect(logging.Handler):
        def emit(self, record):
            messages.append(f"{record.levelname}: {record.getMessage()}")

    from transformers.utils import logging as library_logging

    logger, handler, level = library_logging.get_logger(), _Collect(), library_logging.get_verbosity()
    logger.addHandler(handler)
    library_logging.set_verbosity_info()
    library_logging.warning_once.cache_clear()
    yield messages
    logger.removeHandler(handler)
    library_logging.set_verbosity(level)


@pytest.fixture
def slow_clock(monkeypatch):
    """For progress bars a minute passes between two looks at the clock."""
    from itertools import count

    from tqdm import std

    clock = count(step=60.0)
    monkeypatch.setattr(std, "time", lambda: next(clock))


@pytest.fixture(scope="session")
def flags(tmp_path_factory):
    """The command line of a small run that writes checkpoints; --output_dir is left to the test."""
    import resuming
    import runs

    folder = tmp_path_factory.mktemp("inputs")
    checkpoint, data = runs.make_checkpoint(folder / "checkpoint"), runs.make_data(folder / "glue")
    return ["--model_name_or_path", checkpoint, "--data_dir", data, *resuming.FLAGS]


@pytest.fixture(scope="session")
def uninterrupted(flags, tmp_path_factory):
    """The output folder of that run, never stopped; not to be changed."""
    import runs

    folder = tmp_path_factory.mktemp("uninterrupted") / "out"
    assert runs.run_here(*flags, "--output_dir", folder) == 0
    return folder
