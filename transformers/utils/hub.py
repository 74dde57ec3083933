"""Finding the files of a checkpoint: in a local folder, or on the Hugging Face Hub through `huggingface_hub`.

Cache, revision, token, endpoint and offline mode are those of `huggingface_hub` (HF_HOME, HF_TOKEN, HF_ENDPOINT,
HF_HUB_OFFLINE). Mirrors Hugging Face's `cached_file` and `cached_files`.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from .errors import CheckpointError
from .files import check_text_size
from .folders import mistaken_for_checkpoint

_WEIGHT_SUFFIXES = (".safetensors", ".bin")

HUB_ARGUMENTS = ("cache_dir", "revision", "token", "local_files_only", "force_download", "subfolder")


def resolve_file(
    name_or_path: str | os.PathLike[str],
    filename: str,
    *,
    required: bool = True,
    subfolder: str = "",
    **options: Any,
) -> str | None:
    """Return the path of one file of a checkpoint, downloaded first if it is on the Hub and not in the cache.

    Args:
        name_or_path: a local folder, which wins, or a Hub id such as "bert-base-uncased" or "owner/name".
        filename: name of the file within the checkpoint; it must not lead out of it. In a local folder it may be a
            link to anywhere.
        required: raise if the file does not exist; otherwise return None.
        subfolder: folder within the checkpoint that holds the file.
        **options: `cache_dir`, folder of downloads, default as `huggingface_hub` has it; `revision`, branch, tag or
            commit on the Hub, default the main branch; `token`, the access token, True for the stored one, False for
            none, None for the stored one if there is one; `local_files_only`, look into the cache only;
            `force_download`, download again even if the file is in the cache.

    Returns:
        A local path, or None for an optional file that does not exist.

    Raises:
        CheckpointError: the file or the checkpoint does not exist, cannot be reached, or is too large.
    """
    name = os.fspath(name_or_path)
    inside = str(PurePosixPath(subfolder or "", filename))
    if not _stays_inside(inside):
        raise CheckpointError(f"{name}: the file name {inside!r} leads out of the checkpoint's folder")
    if os.path.isdir(name):
        path = os.path.join(name, inside)
        if os.path.isfile(path):
            if not path.endswith(_WEIGHT_SUFFIXES):
                check_text_size(path)
            return path
        if required:
            raise CheckpointError(f"the folder {name} has no file {inside}{mistaken_for_checkpoint(name)}")
        return None
    if os.path.exists(name):
        raise CheckpointError(f"{name} is a file: expected the folder of a checkpoint, or a Hub id")
    return _download(name, inside, required, options)


def _stays_inside(filename: str) -> bool:
    """Whether a relative name stays below its folder, on any operating system."""
    windows = PureWindowsPath(filename)
    return bool(windows.parts) and not windows.drive and not windows.root and ".." not in windows.parts


def _download(name: str, filename: str, required: bool, options: dict[str, Any]) -> str | None:
    from huggingface_hub import constants, errors, hf_hub_download
    from huggingface_hub.utils import validate_repo_id

    endpoint, revision = constants.ENDPOINT, options.get("revision") or constants.DEFAULT_REVISION
    hub = without_password(endpoint)
    offline = options.get("local_files_only") or constants.HF_HUB_OFFLINE
    why = "downloads are switched off" if offline else f"{hub} cannot be reached"
    reasons = {
        errors.HFValidationError: "there is no such folder, and it is not the form of a Hub id (name or owner/name)",
        errors.GatedRepoError: f"access to it on {hub} must be granted first: ask for it there and pass a token",
        errors.RepositoryNotFoundError: f"there is no such folder, and no such model on {hub} (a private one needs a "
        "token)",
        errors.RevisionNotFoundError: f"it is on {hub}, but has no revision {revision!r}",
        errors.LocalEntryNotFoundError: f"there is no such folder, {filename} is not in the local cache, and {why}",
        errors.EntryNotFoundError: f"it is on {hub}, but has no file {filename} in revision {revision!r}",
    }
    try:
        validate_repo_id(name)
        if not offline and not options.get("force_download"):
            options["local_files_only"] = not _hub_answers(endpoint, name, filename, revision)
        return hf_hub_download(name, filename, **options)
    except Exception as error:
        if not required and isinstance(error, errors.EntryNotFoundError):
            return None
        # All others are errors of the HTTP library below huggingface_hub, whichever it is: they mean that nothing came.
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(endpoint, hub)
        other = f"{filename} could not be fetched from {hub}: {first_line}"
        reason = next((text for kind, text in reasons.items() if isinstance(error, kind)), other)
    raise CheckpointError(f"cannot load {name}: {reason}")


def without_password(url: str) -> str:
    """Return a URL without the name and password that may stand in front of its host."""
    scheme, found, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}"


_ASK_AGAIN_AFTER = 60.0  # seconds
_silent_until: dict[str, float] = {}  # by endpoint: until when it counts as silent, or minus infinity: it has answered


def _hub_answers(hub: str, name: str, filename: str, revision: str) -> bool:
    """Ask once whether the Hub can be reached.

    Without network `huggingface_hub` tries again for half a minute, for every file that is not in the cache, optional
    ones that never existed included. An answer of any kind, an error among them, leaves everything to it.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    if -math.inf < _silent_until.get(hub, 0.0) <= time.monotonic():
        try:
            get_hf_file_metadata(hf_hub_url(name, filename, revision=revision), token=False)
            _silent_until[hub] = -math.inf
        except Exception as error:  # refused, timed out, no name resolution: classes of the HTTP library of the day
            is_answer = isinstance(error, HfHubHTTPError)
            _silent_until[hub] = -math.inf if is_answer else time.monotonic() + _ASK_AGAIN_AFTER
    return _silent_until[hub] == -math.inf
