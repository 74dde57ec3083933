"""What accelerate, datasets and evaluate look up in `transformers` works, or is absent in the way they expect."""

import importlib
import importlib.metadata
from pathlib import Path

import pytest
import torch
from tiny import model, ragged_batch

import transformers

ROOT = Path(__file__).parents[2]


def test_ours_wins_in_the_root_of_the_repository():
    assert Path(transformers.__file__).parent == ROOT / "transformers"


def test_accelerate_prepares_casts_and_gathers():
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import is_transformers_available

    try:
        importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError:
        installed = False
    else:
        installed = True
    assert is_transformers_available() is installed  # it asks for the installed package, not for ours
    AcceleratorState._reset_state(reset_partial_state=True)  # of a run that another test may have made in this process
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    net = accelerator.prepare(model().float().train())
    batch = ragged_batch([4, 3], 5)
    output = net(**batch, labels=torch.tensor([0, 1]))
    assert type(output) is transformers.SequenceClassifierOutput and output.logits.dtype == torch.float32
    accelerator.backward(output.loss)
    logits, labels = accelerator.gather_for_metrics((output.logits, torch.tensor([0, 1])))
    assert logits.shape == (2, 2) and labels.shape == (2,)
    unwrapped = accelerator.unwrap_model(net)
    assert isinstance(unwrapped, transformers.PreTrainedModel)
    assert accelerator.get_state_dict(net).keys() == unwrapped.state_dict().keys()


def test_accelerates_command_that_imports_models_can_be_loaded():
    assert importlib.import_module("accelerate.commands.estimate").__name__ == "accelerate.commands.estimate"


def test_datasets_hashes_functions_and_tokenizers():
    """Its hash looks `PreTrainedTokenizerBase` up in whatever `transformers` is."""
    from datasets.fingerprint import Hasher

    one, other = (lambda row: row), (lambda row: [row])
    assert Hasher.hash(one) == Hasher.hash(one) != Hasher.hash(other)


def test_datasets_maps_with_our_tokenizer(tmp_path):
    from datasets import Dataset
    from datasets.fingerprint import Hasher

    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "house"]))
    tokenizer = transformers.BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt"))
    mapped = Dataset.from_dict({"text": ["red house", "house"]}).map(lambda row: tokenizer(row["text"]))
    assert mapped[0]["input_ids"] == [2, 5, 6, 3] and mapped[1]["input_ids"] == [2, 6, 3]
    before = Hasher.hash(tokenizer)
    tokenizer("red", padding="max_length", max_length=5, truncation=True)
    assert Hasher.hash(tokenizer) == before  # so that `map` finds its cache again


def test_evaluate_takes_the_library_for_absent():
    import evaluate  # noqa: F401

    base = importlib.import_module("evaluate.evaluator.base")
    assert base.TRANSFORMERS_AVAILABLE is False  # it needs the stock library's pipelines


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (
            "transformers",
            ("Pipeline", "TFPreTrainedModel", "is_torch_npu_available"),
        ),
        ("transformers.modeling_outputs", ("CausalLMOutputWithCrossAttentions", "Seq2SeqLMOutput")),
        ("transformers.integrations", ("HfDeepSpeedConfig",)),
        ("transformers.integrations.tensor_parallel", ("ReplicateParallel",)),
        ("transformers.deepspeed", ("HfDeepSpeedConfig",)),
        ("transformers.pipelines", ("SUPPORTED_TASKS",)),
    ],
)
def test_what_others_probe_for_is_absent_with_an_import_error(module, names):
    for name in names:
        with pytest.raises(ImportError):
            exec(f"from {module} import {name}")
