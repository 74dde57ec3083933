"""`transformers.utils.logging`: levels, where messages go, and what is said once."""

import logging as standard_logging
import subprocess
import sys
from pathlib import Path

import pytest

from transformers.utils import logging


@pytest.fixture(autouse=True)
def _level_as_before():
    level = logging.get_verbosity()
    yield
    logging.set_verbosity(level)


@pytest.mark.parametrize("name", ["debug", "info", "warning", "error"])
def test_a_level_shows_what_is_at_least_as_severe(name, capsys):
    getattr(logging, f"set_verbosity_{name}")()
    logger = logging.get_logger("transformers.somewhere")
    for level in ("debug", "info", "warning", "error"):
        getattr(logger, level)("said at %s", level)
    levels = ["debug", "info", "warning", "error"]
    shown = [f"said at {level}" for level in levels[levels.index(name) :]]
    assert capsys.readouterr().err.splitlines() == shown
    assert logging.get_verbosity() == getattr(logging, name.upper())


def test_the_handler_can_be_taken_away_and_messages_handed_on(capsys, monkeypatch):
    logger = logging.get_logger("transformers.somewhere")
    handed_on: list[str] = []
    application = standard_logging.Handler()
    application.emit = lambda record: handed_on.append(record.getMessage())
    monkeypatch.setattr(standard_logging.getLogger(), "handlers", [application])
    logger.error("before")
    logging.disable_default_handler()
    logging.enable_propagation()
    try:
        logger.error("for the application")
        assert capsys.readouterr().err == "before\n" and handed_on == ["for the application"]
    finally:
        logging.enable_default_handler()
        logging.disable_propagation()
    logger.error("for stderr")
    assert capsys.readouterr().err == "for stderr\n" and handed_on == ["for the application"]


def test_once_is_once_for_each_message(library_log):
    logger = logging.get_logger("transformers.somewhere")
    for message in ("red", "red", "blue", "red"):
        logging.warning_once(logger, message)
    assert library_log == ["WARNING: red", "WARNING: blue"]


@pytest.mark.parametrize(("value", "level"), [("ERROR", "40"), ("info", "20"), ("loud", "30"), (None, "30")])
def test_the_environment_sets_the_level(value, level):
    code = "from transformers.utils import logging; print(logging.get_verbosity())"
    environment = {} if value is None else {"TRANSFORMERS_VERBOSITY": value}
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout.strip() == level
    assert ("TRANSFORMERS_VERBOSITY=loud is not one of" in finished.stderr) == (value == "loud")


def test_progress_bars_of_downloads_can_be_hidden():
    from huggingface_hub.utils import are_progress_bars_disabled

    logging.disable_progress_bar()
    assert are_progress_bars_disabled()
    logging.enable_progress_bar()
    assert not are_progress_bars_disabled()


def test_the_level_is_the_librarys_own():
    logging.set_verbosity_error()
    assert standard_logging.getLogger().getEffectiveLevel() != standard_logging.ERROR
