"""A finished run on the Hugging Face Hub: model, tokenizer, card and scores, once all of them are saved.

Endpoint and token are those of `huggingface_hub` (HF_ENDPOINT, HF_TOKEN, `hf auth login`).
"""

from __future__ import annotations

from pathlib import Path

from transformers.utils.errors import CheckpointError
from transformers.utils.hub import without_password

from ..cli.arguments import RunArguments
from ..errors import UsageError


def check_upload(args: RunArguments) -> str:
    """Check before a run what can be known of its upload without asking the Hub.

    Returns:
        The id of the repository: `--hub_model_id`, or the name of the output folder, which gets the user's name.

    Raises:
        UsageError: the id has not the form of one, there is no token, or downloads and uploads are switched off.
    """
    from huggingface_hub import constants, errors, get_token
    from huggingface_hub.utils import validate_repo_id

    repo_id = args.hub_model_id or Path(str(args.output_dir)).resolve().name
    try:
        validate_repo_id(repo_id)
    except errors.HFValidationError:
        raise UsageError(f"--hub_model_id {repo_id}: expected name or owner/name, as the Hub has them") from None
    if constants.HF_HUB_OFFLINE:
        raise UsageError("--push_to_hub: HF_HUB_OFFLINE is set, which switches the Hub off")
    if get_token() is None:
        raise UsageError("--push_to_hub needs a token that may write: set HF_TOKEN, or log in with `hf auth login`")
    return repo_id


def upload(args: RunArguments, folder: Path, names: list[str]) -> str:
    """Upload files of a run, in one commit; the repository is made where there is none.

    Args:
        args: the run's settings.
        folder: its output folder.
        names: which files of it.

    Returns:
        The address of the commit.

    Raises:
        CheckpointError: the upload failed, for whatever reason.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils import disable_progress_bars

    repo_id, api = check_upload(args), HfApi()
    disable_progress_bars()
    try:
        repo_id = api.create_repo(repo_id, private=args.hub_private_repo or None, exist_ok=True).repo_id
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, allow_patterns=names, commit_message="Model and scores of a run"
        )
    except Exception as error:  # refused, timed out, no name resolution: classes of the HTTP library of the day
        hub = without_password(constants.ENDPOINT)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(constants.ENDPOINT, hub)
        raise CheckpointError(
            f"the upload to {repo_id} on {hub} failed ({reason}); everything is saved in {folder}: upload it with "
            f"`hf upload {repo_id} {folder} . --exclude '*/*'`"
        ) from error
    return str(commit.commit_url)
