"""Folders that nobody names: a home or a cache that is not there, or that may not be written to."""

import getpass
import os
from pathlib import Path

import pytest

from glue.cli.paths import provide_caches
from glue.data.token_cache import cache_folder

NAMES = ("HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "MPLCONFIGDIR", "LOGNAME", "RANK")


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A place that nobody can write to, root included: a file in the way of a folder."""
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "folder"


def test_caches_that_may_be_written_to_stay_where_they_are(closed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    before = dict(os.environ)
    provide_caches()
    assert dict(os.environ) == before and capsys.readouterr().out == ""


@pytest.mark.parametrize("home", ["closed", "unknown"])
def test_without_a_home_there_is_a_temporary_one(closed, monkeypatch, capsys, home):
    if home == "closed":
        monkeypatch.setenv("HOME", str(closed))
    else:
        monkeypatch.setattr(os.path, "expanduser", lambda path: os.environ.get("HOME", "~") + path[1:])
    provide_caches()
    assert capsys.readouterr().out.count("cannot be written to: what libraries keep there goes to") == 1
    for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME"):
        assert os.access(os.environ[name], os.W_OK)
    cache_folder(None).mkdir(parents=True)
    provide_caches()
    assert capsys.readouterr().out == ""  # now there is one


def test_downloaded_models_are_found_in_a_cache_that_is_read_only(closed, tmp_path, monkeypatch):
    (tmp_path / "huggingface" / "hub").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(closed))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    provide_caches()
    assert os.environ["HF_HUB_CACHE"] == str(tmp_path / "huggingface" / "hub")
    assert os.environ["HOME"] == str(tmp_path) and Path(os.environ["XDG_CACHE_HOME"]).is_dir()


def test_a_user_without_a_name(closed, tmp_path, monkeypatch):
    """A container started with `--user 12345`; torch asks for the name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 123456789)
    provide_caches()
    assert getpass.getuser() == "123456789"
