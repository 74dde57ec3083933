"""`import transformers`: what it pulls in, what it offers, and what it says about names that it does not have."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import transformers

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "numpy", "datasets", "tokenizers", "huggingface_hub", "safetensors", "accelerate", "evaluate"]


def heavy_modules_after(code: str) -> set[str]:
    """Which of the large packages are loaded once `code` has run in a fresh process."""
    report = f"import json, sys\n{code}\nprint(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    finished = subprocess.run(
        [sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(finished.stdout))


def test_importing_loads_nothing_else():
    assert heavy_modules_after("import transformers") == set()


def test_configurations_errors_and_logging_need_no_torch():
    code = (
        "from transformers import AlbertConfig, AutoConfig, BertConfig, CheckpointError, SchedulerType, logging\n"
        "from transformers.contranorm_sites import parse_positions\n"
        "BertConfig(pos='17', scale=0.1).to_json_string(); SchedulerType('linear'); logging.set_verbosity_error()"
    )
    assert heavy_modules_after(code) == set()


def test_a_model_loads_torch_and_neither_tokenizers_nor_datasets():
    loaded = heavy_modules_after("from transformers import AutoModelForSequenceClassification, get_scheduler, set_seed")
    assert "torch" in loaded and not loaded & {"tokenizers", "datasets", "accelerate", "evaluate"}


def test_every_public_name_can_be_loaded():
    for name in transformers.__all__:
        assert getattr(transformers, name) is not None, name
    assert set(transformers.__all__) <= set(dir(transformers))


def test_a_name_of_the_stock_library_that_is_not_here():
    with pytest.raises(ImportError) as error:
        from transformers import LlamaModel  # noqa: F401
    message = str(error.value)
    assert "'LlamaModel' is not in this lean `transformers` library" in message
    assert "Closest: ElectraModel, AlbertModel" in message and "AutoTokenizer" in message and "__init__.py" in message


def test_asking_for_an_attribute_that_is_not_here():
    assert not hasattr(transformers, "LlamaModel") and getattr(transformers, "Pipeline", 3) == 3
    with pytest.raises(AttributeError, match=r"Closest: ElectraModel, AlbertModel"):
        transformers.LlamaModel  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("transformers.trainer")


def test_modules_can_be_imported_by_name():
    code = "from transformers import utils, activations; utils.logging, activations.ACT2FN"
    assert "torch" in heavy_modules_after(code)


def test_the_version_is_a_version_and_tells_the_libraries_apart():
    from packaging.version import Version

    assert Version(transformers.__version__).local == "contranorm"
