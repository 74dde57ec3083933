"""What all tests share: no network, and a look at what the library logged."""

import logging
import os

import pytest

# Before anything imports huggingface_hub, which reads it once: a test that asks a real server is a mistake. Tests of
# downloads start a server of their own and a sub-process that may use it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


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
