"""An interpreter that has done its imports: commands that documentation and sweeps start, without seconds for each.

with quick_python(folder) as python:
    subprocess.run([python, "run_glue_no_trainer.py", "--demo"])

`python` is a program. It asks a server, which has imported what is not this project's, to fork, and stands for the
process that comes of it: streams, folder, environment, exit status and signals are that one's; who kills the program
kills the process. What that process starts with `sys.executable` starts in the same way. Anything but a script
`run_*.py` or `-c` goes to the real interpreter.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_CLIENT = """#!{real} -IS
import json, os, signal, socket, sys
words = sys.argv[1:]
if not words or not (words[0] == "-c" or os.path.basename(words[0]).startswith("run_")):
    os.execv({python!r}, [{python!r}, *words])
passed_on = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP]
signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
question = json.dumps({{"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}}).encode()
socket.send_fds(server, [len(question).to_bytes(8, "big")], [0, 1, 2])
server.sendall(question)
pid = int.from_bytes(server.recv(8, socket.MSG_WAITALL), "big")
for number in passed_on:
    signal.signal(number, lambda number, _: os.kill(pid, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
status = int.from_bytes(server.recv(8, socket.MSG_WAITALL), "big", signed=True)
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""
_IMPORTS = (
    *("torch._dynamo", "accelerate", "optuna", "pyarrow.parquet", "scipy.stats", "sklearn.metrics", "tokenizers"),
    *("matplotlib.style", "matplotlib.figure", "matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg"),
)


@contextlib.contextmanager
def quick_python(folder: Path) -> Iterator[str]:
    """The program's path, for as long as the server lives.

    Args:
        folder: where program and socket are made; its path is short and has no blanks.
    """
    address, program = str(folder / "socket"), folder / "python"
    real = os.path.realpath(sys.executable)
    program.write_text(_CLIENT.format(real=real, python=sys.executable, address=address))
    program.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-I", __file__, address, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout.readline() == b"ready\n"
    yield str(program)
    server.communicate(timeout=30)


def _serve(address: str, program: str) -> None:
    """Answer until standard input ends; returns in the processes that are to become what was asked for."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    print("ready", flush=True)
    while sys.stdin not in select.select([sys.stdin, listening], [], [])[0]:
        client, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            with contextlib.suppress(OSError):  # the client has been killed
                if _accompany(client, program):
                    return
            os._exit(0)
        client.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # it has ended since the last question
    os._exit(0)


def _accompany(client: socket.socket, program: str) -> bool:
    """Fork what a client asks for and tell it the end; true in the process that is forked."""
    head, streams, _, _ = socket.recv_fds(client, 8, 3)
    question = json.loads(client.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        client.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(question["folder"])
        os.environ.clear()
        os.environ.update(question["environment"])
        sys.executable, sys.argv = program, question["words"]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return True
    for stream in streams:
        os.close(stream)
    client.sendall(child.to_bytes(8, "big"))
    ended = os.pidfd_open(child)
    if ended not in select.select([ended, client], [], [])[0]:
        os.kill(child, signal.SIGKILL)  # the client has been killed
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.sendall(status.to_bytes(8, "big", signed=True))
    return False


def _main(address: str, program: str) -> None:
    for name in _IMPORTS:
        importlib.import_module(name)
    assert "transformers" not in sys.modules
    _serve(address, program)
    if sys.argv[0] == "-c":
        sys.path.insert(0, "")
        exec(sys.argv.pop(1), {"__name__": "__main__"})
    else:
        sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _main(*sys.argv[1:])
