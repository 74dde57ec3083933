"""A PostgreSQL server of a test's own: in a temporary folder, reached through a socket in it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_PROGRAMS = ("initdb", "pg_ctl", "createdb")


class Postgres:
    """The server, as long as the `with` block lasts; skips the test where none is installed.

    Attributes:
        url: of an empty database.
    """

    def __enter__(self):
        pytest.importorskip("psycopg", reason="no driver for PostgreSQL")
        places = [Path(path).resolve().parent for path in (shutil.which("initdb"),) if path]
        places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        places = [place for place in places if all((place / name).exists() for name in _PROGRAMS)]
        if not places:
            pytest.skip("no PostgreSQL server is installed")
        # Not pytest's folder: that one is closed to others, and the server must not be root's.
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._owner = {}
        if os.geteuid() == 0:
            for name in ("postgres", "nobody"):
                try:
                    found = pwd.getpwnam(name)
                except KeyError:
                    continue
                self._owner = {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
                break
            os.chown(self._folder, self._owner["user"], self._owner["group"])
        self._bin, data = places[0], self._folder / "data"
        self._run("initdb", "-D", data, "-U", "contranorm", "--auth=trust", "-N", "--locale=C", "-E", "UTF8")
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off"
        self._run("pg_ctl", "start", "-w", "-D", data, "-l", self._folder / "log", "-o", options)
        self._run("createdb", "-h", self._folder, "-U", "contranorm", "sweeps")
        self.url = f"postgresql+psycopg://contranorm@/sweeps?host={self._folder}"
        return self

    def __exit__(self, *_):
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self._folder / "data")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program, *words):
        command = [str(self._bin / program), *map(str, words)]
        # Its server would keep a pipe open for as long as it lives.
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=100,
                **self._owner,
            )
        assert done.returncode == 0, (self._folder / "output").read_text()
