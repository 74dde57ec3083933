"""Finding the files of a checkpoint: in a local folder, or on the Hugging Face Hub through `huggingface_hub`.

Cache, revision, token, endpoint and offline mode are those of `huggingface_hub` (HF_HOME, HF_TOKEN, HF_ENDPOINT,
HF_HUB_OFFLINE). Mirrors Hugging Face's `cached_file` and `cached_files`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from .errors import CheckpointError

_WEIGHT_SUFFIXES = (".safetensors", ".bin")
_LARGEST_TEXT = 256 * 2**20  # bytes; the largest vocabularies there are take a tenth of it

HUB_ARGUMENTS = ("cache_dir", "revision", "token", "local_files_only", "force_download", "subfolder")


def resolve_file(
    name_or_path: str | os.PathLike[str],
    filename: str,
    *,
    required: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    subfolder: str = "",
) -> str | None:
    """Return the path of one file of a checkpoint, downloaded first if it is on the Hub and not in the cache.

    Args:
        name_or_path: a local folder, which wins, or a Hub id such as "bert-base-uncased" or "owner/name".
        filename: name of the file within the checkpoint; it must not lead out of it.
        required: raise if the file does not exist; otherwise return None.
        cache_dir: folder of downloads; default as `huggingface_hub` has it.
        revision: branch, tag or commit on the Hub; default the main branch.
        token: access token, True for the stored one, False for none, None for the stored one if there is one.
        local_files_only: look into the cache only.
        force_download: download again even if the file is in the cache.
        subfolder: folder within the checkpoint that holds the file.

    Returns:
        A local path, or None for an optional file that does not exist.

    Raises:
        CheckpointError: the file or the checkpoint does not exist, cannot be reached, is a link out of its folder, or
            is larger than any file of its kind.
    """
    name = os.fspath(name_or_path)
    inside = str(PurePosixPath(subfolder or "", filename))
    if not _stays_inside(inside):
        raise CheckpointError(f"{name}: the file name {inside!r} leads out of the checkpoint's folder")
    if os.path.isdir(name):
        path = os.path.join(name, inside)
        if os.path.isfile(path):
            _check_local(name, path)
            return path
        if required:
            raise CheckpointError(f"the folder {name} has no file {inside}")
        return None
    if os.path.exists(name):
        raise CheckpointError(f"{name} is a file: expected the folder of a checkpoint, or a Hub id")
    return _download(
        name,
        inside,
        required,
        cache_dir=cache_dir,
        revision=revision,
        token=token,
        local_files_only=local_files_only,
        force_download=force_download,
    )


def resolve_files(name_or_path: str | os.PathLike[str], filenames: Iterable[str], **options: Any) -> dict[str, str]:
    """Return the paths of several required files of a checkpoint, by their names.

    Args:
        name_or_path, filenames, **options: see `resolve_file`.

    Raises:
        CheckpointError: one of them does not exist or cannot be reached.
    """
    paths = {}
    for filename in filenames:
        path = resolve_file(name_or_path, filename, **options)
        assert path is not None  # required
        paths[filename] = path
    return paths


def _stays_inside(filename: str) -> bool:
    """Whether a relative name stays below its folder, on any operating system."""
    windows = PureWindowsPath(filename)
    return bool(windows.parts) and not windows.drive and not windows.root and ".." not in windows.parts


def _check_local(folder: str, path: str) -> None:
    """Check that a file of a local checkpoint is in its folder, wherever links lead, and of a size to be read.

    In a cache of the Hub the files are links to blobs beside the folder: `models--x/snapshots/y` may lead to
    `models--x/blobs`.
    """
    root, target = Path(folder).resolve(), Path(path).resolve()
    snapshots = root.parent
    in_cache = snapshots.name == "snapshots" and snapshots.parent.name.startswith("models--")
    if root not in target.parents and not (in_cache and snapshots.parent / "blobs" in target.parents):
        raise CheckpointError(f"{path} is a link that leads out of the checkpoint's folder, to {target}: copy the file")
    size = target.stat().st_size
    if not path.endswith(_WEIGHT_SUFFIXES) and size > _LARGEST_TEXT:
        raise CheckpointError(f"{path} has {size} bytes: expected at most {_LARGEST_TEXT} of a file that is no weights")


def _download(name: str, filename: str, required: bool, **options: Any) -> str | None:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import validate_repo_id

    endpoint, revision = constants.ENDPOINT, options["revision"] or constants.DEFAULT_REVISION
    hub = without_password(endpoint)
    offline = options["local_files_only"] or constants.HF_HUB_OFFLINE
    try:
        validate_repo_id(name)
        if not offline and not options["force_download"]:
            options["local_files_only"] = not _hub_answers(endpoint, name, filename, revision)
        return hf_hub_download(name, filename, **options)
    except HFValidationError:
        reason = "there is no such folder, and it is not the form of a Hub id (name or owner/name)"
    except GatedRepoError:
        reason = f"access to it on {hub} must be granted first: ask for it there and pass a token"
    except RepositoryNotFoundError:
        reason = f"there is no such folder, and no such model on {hub} (a private one needs a token)"
    except RevisionNotFoundError:
        reason = f"it is on {hub}, but has no revision {revision!r}"
    except LocalEntryNotFoundError:
        if not required:
            return None
        why = "downloads are switched off" if offline else f"{hub} cannot be reached"
        reason = f"there is no such folder, {filename} is not in the local cache, and {why}"
    except EntryNotFoundError:
        if not required:
            return None
        reason = f"it is on {hub}, but has no file {filename} in revision {revision!r}"
    except Exception as error:
        # The errors of the HTTP library below huggingface_hub, whichever it is: all mean that nothing came.
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(endpoint, hub)
        reason = f"{filename} could not be fetched from {hub}: {first_line}"
    raise CheckpointError(f"cannot load {name}: {reason}")


def without_password(url: str) -> str:
    """Return a URL without the name and password that may stand in front of its host."""
    scheme, found, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}"


_ASK_AGAIN_AFTER = 60.0  # seconds
_silent_since: dict[str, float | None] = {}  # by endpoint: when it did not answer; None if it did


def _hub_answers(hub: str, name: str, filename: str, revision: str) -> bool:
    """Ask once whether the Hub can be reached.

    Without network `huggingface_hub` tries again for half a minute, for every file that is not in the cache, optional
    ones that never existed included. An answer of any kind, an error among them, leaves everything to it.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    since = _silent_since.get(hub, -_ASK_AGAIN_AFTER)
    if since is not None and time.monotonic() - since >= _ASK_AGAIN_AFTER:
        try:
            get_hf_file_metadata(hf_hub_url(name, filename, revision=revision), token=False)
            since = None
        except HfHubHTTPError:
            since = None
        except Exception:
            # Refused, timed out, no name resolution: the classes belong to the HTTP library of the day.
            since = time.monotonic()
        _silent_since[hub] = since
    return since is None
