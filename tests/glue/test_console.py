"""A console that is closed, gone, full, or of another alphabet: what is said to it is lost, and nothing else is."""

import io
import os
import shlex
import subprocess
import sys

import pytest
import runs

import run_report
from glue.cli.console import console, fail, progress_bar, run_script, say, say_at_once
from glue.errors import UsageError


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


class Hung(io.StringIO):
    """A terminal that was closed: it breaks where the buffer is written out."""

    def flush(self):
        raise OSError(5, "Input/output error")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


BROKEN = {"gone": Gone, "hung up": Hung, "closed": closed, "never open": lambda: None}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_said_to_a_broken_console_is_lost(monkeypatch, kind):
    monkeypatch.setattr(sys, "stdout", BROKEN[kind]())
    monkeypatch.setattr(sys, "stderr", BROKEN[kind]())
    with console():
        for _ in range(2):
            say("a line")
            print("another", flush=True)
            assert fail("a problem", 2) == 2
            assert list(progress_bar(range(3))) == [0, 1, 2]
        assert not sys.stdout.isatty()


def test_letters_that_the_console_lacks_are_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with console():
        say("café ▁stone \udcff")
    assert raw.getvalue() == b"caf\\xe9 \\u2581stone \\udcff\n"


def test_streams_are_those_of_before_when_the_block_ends():
    before = sys.stdout, sys.stderr
    assert run_script("p", lambda: sys.stdout is not before[0])
    assert (sys.stdout, sys.stderr) == before


def test_a_signal_handler_can_speak_to_nobody(monkeypatch):
    def broken(*_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(os, "write", broken)
    say_at_once("SIGINT: stopping")


def stop():
    raise KeyboardInterrupt


def refuse():
    raise UsageError("--tau 0: expected more than 0")


def lack_space():
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("work", "status", "line"),
    [
        (lambda: 7, 7, ""),
        (refuse, 2, "p: error: --tau 0: expected more than 0\n"),
        (lack_space, 1, "p: error: [Errno 28] No space left on device\n"),
        (stop, 130, "p: stopped by SIGINT\n"),
    ],
)
def test_a_script_says_in_one_line_what_ended_it(capsys, work, status, line):
    assert run_script("p", work) == status
    assert capsys.readouterr().err == line


def test_help_that_nobody_reads(monkeypatch):
    """As under `--help | head -1`: no traceback, neither in between nor at the end."""
    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(SystemExit) as end:
        run_report.main(["--help"])
    assert end.value.code == 0


FILES = """
import os, sys
from glue.cli.console import console, say, say_at_once
with console():
    data = open(sys.argv[1], "w")
    say("said")
    say_at_once("said at once")
    os.system("echo said by a child")
    data.write("data")
"""


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    """Or a message would end up in the middle of a checkpoint."""
    command = f"exec {shlex.quote(sys.executable)} -c '{FILES}' {tmp_path}/data <&- >&- 2>&-"
    assert subprocess.run(command, shell=True, cwd=runs.ROOT, check=False).returncode == 0
    assert (tmp_path / "data").read_text() == "data"


def test_the_buffer_of_a_broken_pipe_is_not_written_once_more_at_the_end():
    """What the interpreter cannot flush at its end makes the exit status 120."""
    code = "from glue.cli.console import console\nwith console():\n    print('x' * 100)"
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=runs.ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")
