"""Code that was written for the stock library: the names, import paths and arguments that it uses."""

import importlib
import json
import math

import pytest
import tiny
import torch
from stock import requires_stock, run_stock
from tokenizer_files import train_byte_level_bpe
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    ConfigurationError,
    DefaultDataCollator,
    PreTrainedTokenizerFast,
    RobertaTokenizerFast,
    default_data_collator,
)
from transformers.backbones import BACKBONES
from transformers.utils.versions import require_version

NAMES = {
    "transformers": "PreTrainedConfig PreTrainedTokenizer AddedToken is_torch_available DefaultDataCollator",
    "transformers.models.bert": "BertConfig BertModel BertForSequenceClassification BertTokenizer BertTokenizerFast",
    "transformers.models.albert": "AlbertConfig AlbertModel AlbertPreTrainedModel AlbertTokenizerFast",
    "transformers.models.roberta": "RobertaConfig RobertaForSequenceClassification RobertaTokenizer",
    "transformers.models.electra": "ElectraConfig ElectraTokenizerFast",
    "transformers.models.distilbert": "DistilBertConfig DistilBertModel",
    "transformers.models.auto": "AutoConfig AutoModel AutoTokenizer",
    "transformers.models.bert.modeling_bert": "BertEmbeddings BertSelfAttention BertLayer BertEncoder BertPooler",
    "transformers.utils": "logging check_min_version send_example_telemetry is_torch_available",
    "transformers.utils.versions": "require_version",
    "transformers.tokenization_utils_base": "AddedToken BatchEncoding PreTrainedTokenizerBase",
    "transformers.data.data_collator": "DefaultDataCollator DataCollatorWithPadding",
    "transformers.optimization": "get_inverse_sqrt_schedule get_wsd_schedule",
    "transformers.configuration_utils": "PreTrainedConfig PretrainedConfig",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_can_be_imported(module):
    for name in NAMES[module].split():
        assert getattr(importlib.import_module(module), name) is not None, name


def test_a_package_offers_its_own_names_only():
    import transformers.models.bert as package

    assert package.BertModel is BertModel and not hasattr(package, "AlbertModel") and not hasattr(package, "Nothing")


def test_versions():
    require_version("torch>=1.0")
    require_version("python>=3.10")
    require_version("transformers>=99")
    transformers.utils.check_min_version("99.0.0.dev0")
    assert transformers.utils.send_example_telemetry("example", object()) is None and transformers.is_torch_available()
    for requirement, match in (
        ("torch>=99", "torch 2.* is installed. Update"),
        ("nowhere-to-be-found", "not installed"),
    ):
        with pytest.raises(ImportError, match=match):
            require_version(requirement, "Update it.")
    with pytest.raises(ValueError, match="expected one as pip has it"):
        require_version("torch >>> 1")


# Arguments that change nothing, and values that would: (accepted, refused).
OF_MODELS = {
    "trust_remote_code": ([False, True], []),
    "low_cpu_mem_usage": ([True, False], []),
    "attn_implementation": ([None, "eager", "sdpa"], ["flash_attention_2"]),
    "use_auth_token": ([None], ["token"]),
    "from_tf": ([False], [True]),
    "from_flax": ([False], [True]),
    "quantization_config": ([None], [{"bits": 4}]),
    "load_in_8bit": ([False], [True]),
    "variant": ([None], ["fp16"]),
    "device_map": ([None, "cpu", {"": "cpu"}], ["auto"]),
    "proxies": ([None], [{"http": "there"}]),
    "gguf_file": ([None], ["model.gguf"]),
    "weights_only": ([True], [False]),
}
OF_TOKENIZERS = {
    "use_fast": ([True, False], []),
    "from_slow": ([True], []),
    "verbose": ([False], []),
    "add_prefix_space": ([True, False], []),
    "legacy": ([False], []),
    "do_basic_tokenize": ([True], [False]),
    "trust_remote_code": ([False], []),
}
OF_SAVING = {
    "save_function": ([torch.save], []),
    "max_shard_size": (["5GB"], []),
    "safe_serialization": ([True], [False]),
    "push_to_hub": ([False], [True]),
    "variant": ([None], ["fp16"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny.model().float().save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg"]
    BertTokenizerFast({word: index for index, word in enumerate(words)}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("call", "table"),
    [
        (lambda folder, **more: AutoModel.from_pretrained(folder, **more), OF_MODELS),
        (lambda folder, **more: BertModel.from_pretrained(folder, **more), OF_MODELS),
        (lambda folder, **more: AutoTokenizer.from_pretrained(folder, **more), OF_TOKENIZERS),
        (lambda folder, **more: tiny.model().save_pretrained(folder / "saved", **more), OF_SAVING),
        (
            lambda folder, **more: BertConfig().save_pretrained(folder / "saved", **more),
            {"push_to_hub": ([False], [True])},
        ),
        (
            lambda folder, **more: BertTokenizerFast().save_pretrained(folder / "saved", **more),
            {"legacy_format": ([True], []), "push_to_hub": ([False], [True]), "filename_prefix": ([None], ["x"])},
        ),
    ],
    ids=["auto", "class", "tokenizer", "save", "save-config", "save-tokenizer"],
)
def test_arguments_that_change_nothing_are_accepted_and_others_refused_by_name(folder, call, table):
    for name, (accepted, refused) in table.items():
        for value in accepted:
            call(folder, **{name: value})
        for value in refused:
            with pytest.raises(ConfigurationError, match=name):
                call(folder, **{name: value})


def test_attention_can_be_chosen_and_asked_after(folder, tmp_path):
    net = AutoModel.from_pretrained(folder)
    assert net.config._attn_implementation == "sdpa" and net._can_set_attn_implementation()
    net.set_attn_implementation("eager")
    config = BertConfig(**tiny.SIZES, attn_implementation="eager")
    for chosen in (
        net,
        AutoModel.from_pretrained(folder, attn_implementation="eager"),
        AutoModel.from_pretrained(folder, config=config),
        AutoModel.from_config(config),
        AutoModel.from_config(net.config, attn_implementation="eager"),
    ):
        chosen.config.update({"hidden_act": "relu"})
        assert chosen.config._attn_implementation == "eager"
        chosen.save_pretrained(tmp_path)
        assert "attn" not in (tmp_path / "config.json").read_text()
    with pytest.raises(ConfigurationError, match='attn_implementation="flash_attention_2"` is not supported'):
        net.set_attn_implementation("flash_attention_2")
    assert net.config._attn_implementation == "eager"


def test_what_a_file_says_of_attention_is_not_read(tmp_path):
    written = BertConfig().to_dict() | {"_attn_implementation": "flash_attention_2", "attn_implementation": "flex"}
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert AutoConfig.from_pretrained(tmp_path)._attn_implementation == "sdpa"
    assert AutoConfig.from_pretrained(tmp_path, attn_implementation="eager")._attn_implementation == "eager"


def test_tensors_of_another_shape_are_the_error_that_code_for_the_stock_library_catches(folder):
    with pytest.raises(RuntimeError, match=r"does not fit: classifier.*ignore_mismatched_sizes=True"):
        AutoModelForSequenceClassification.from_pretrained(folder, num_labels=9)


def test_a_setting_with_the_name_of_a_method_is_told_apart(folder):
    with pytest.raises(AttributeError, match="add_special_tokens is a method of BertTokenizerFast"):
        AutoTokenizer.from_pretrained(folder, add_special_tokens=False)


def test_a_state_dict_in_the_place_of_a_checkpoint(folder):
    net = tiny.model(seed=3).float()
    for name, more in ((folder, {}), (None, {"config": net.config})):
        loaded = BertForSequenceClassification.from_pretrained(name, state_dict=net.state_dict(), **more)
        assert all(map(torch.equal, loaded.parameters(), net.parameters()))
    with pytest.raises(ConfigurationError, match="config and state_dict are needed"):
        BertForSequenceClassification.from_pretrained(None, config=net.config)


def test_what_is_asked_of_a_model(folder):
    net = BertForSequenceClassification.from_pretrained(folder)
    assert net.main_input_name == "input_ids" and net.supports_gradient_checkpointing
    net.name_or_path = "elsewhere"
    assert (
        net.config.name_or_path == "elsewhere"
        and net.config.use_return_dict
        and net.config.get_text_config() is net.config
    )
    assert net.get_memory_footprint() == 4 * net.num_parameters()
    net.set_input_embeddings(torch.nn.Embedding(5, 24))
    assert net.bert.get_input_embeddings().num_embeddings == 5
    net.tie_weights()


def test_what_code_for_all_kinds_of_models_asks_first(folder):
    net = BertForSequenceClassification.from_pretrained(folder)
    assert not net.can_generate() and net.config.sub_configs == {} and net.config.tie_word_embeddings
    assert "tie_word_embeddings" not in net.config.to_diff_dict()
    with pytest.raises(ConfigurationError, match="tie_word_embeddings 'no'"):
        BertConfig(tie_word_embeddings="no")
    old = BertForSequenceClassification(BertConfig(**tiny.SIZES, gradient_checkpointing=True))
    assert old.is_gradient_checkpointing and not net.is_gradient_checkpointing


class Frugal(BertForSequenceClassification):
    _keys_to_ignore_on_load_missing = (r"classifier\.b",)


def test_tensors_that_a_checkpoint_may_lack(folder, tmp_path):
    BertModel.from_pretrained(folder).save_pretrained(tmp_path)
    for kind, missing in ((BertForSequenceClassification, {"weight", "bias"}), (Frugal, {"weight"})):
        info = kind.from_pretrained(tmp_path, output_loading_info=True)[1]
        assert info["missing_keys"] == {f"classifier.{name}" for name in missing}


LOADING_INFO = """
from transformers import AutoModelForSequenceClassification

def plain(item):
    return item if isinstance(item, str) else [item[0], *map(list, item[1:])]

for name in payload["folders"]:
    for labels in (2, 9):
        _, info = AutoModelForSequenceClassification.from_pretrained(
            name, output_loading_info=True, ignore_mismatched_sizes=True, num_labels=labels
        )
        found = {key: [type(value).__name__, sorted(map(plain, value))] for key, value in info.items()}
        result[f"{name} {labels}"] = found
"""


@requires_stock
@pytest.mark.slow
def test_loading_info_is_the_stock_librarys(folder, tmp_path):
    BertModel.from_pretrained(folder).save_pretrained(tmp_path / "base")
    ours: dict = {"payload": {"folders": [str(folder), str(tmp_path / "base")]}, "result": {}}
    exec(LOADING_INFO, ours)
    assert ours["result"] == run_stock(LOADING_INFO, ours["payload"], tmp_path)


def test_gradients_reach_the_embeddings_of_a_frozen_model():
    net = tiny.model().train()
    for parameter in net.bert.embeddings.parameters():
        parameter.requires_grad_(False)
    batch, seen = tiny.ragged_batch([3, 2], 3), []
    net.enable_input_require_grads()
    net.enable_input_require_grads()
    handle = net.get_input_embeddings().register_forward_hook(lambda *call: seen.append(call[2].requires_grad))
    net(**batch)
    net.disable_input_require_grads()
    net(**batch)
    assert seen == [True, False]
    handle.remove()


@pytest.mark.parametrize("model_type", tiny.MODELS)
def test_masks_of_three_dimensions(model_type):
    net = tiny.model(model_type, pos="7", scale=0.3)
    batch = tiny.ragged_batch([4, 2], 5, model_type)
    mask = batch["attention_mask"]
    expected = net(**batch).logits
    for wide in (mask[:, None].expand(2, 5, 5), mask[:, None] * mask[:, :, None], mask[:, None].bool()):
        torch.testing.assert_close(net(**{**batch, "attention_mask": wide}).logits, expected)
    with pytest.raises(ValueError, match="other entries for other queries"):
        net(**{**batch, "attention_mask": torch.tril(torch.ones(2, 5, 5))})


def test_a_head_mask_leaves_no_head_out():
    net, batch = tiny.model(), tiny.ragged_batch([4, 2], 5)
    torch.testing.assert_close(net(**batch, head_mask=torch.ones(3, 3)).logits, net(**batch).logits)
    for call in (net, net.bert):
        with pytest.raises(ConfigurationError, match="head_mask leaves attention heads out"):
            call(**batch, head_mask=torch.tensor([1.0, 0.0, 1.0]))


def test_decoders_are_refused(tmp_path):
    assert BertConfig(is_decoder=False).is_decoder is False
    with pytest.raises(ConfigurationError, match="is_decoder"):
        BertConfig(is_decoder=True)
    BertConfig(dtype=torch.float16).to_json_file(tmp_path / "config.json")
    assert BertConfig.from_json_file(tmp_path / "config.json").dtype == "float16"


def test_default_data_collator():
    rows = [{"input_ids": [1, 2], "label": 0}, {"input_ids": [3, 4], "label": 1}]
    found, expected = DefaultDataCollator()(rows), default_data_collator(rows)
    assert list(found) == list(expected) and all(map(torch.equal, found.values(), expected.values()))
    assert DefaultDataCollator("np")(rows)["labels"].tolist() == [0, 1]


# A kind of model of one's own.
class HouseConfig(BertConfig):
    model_type = "house"


class HouseModel(BertModel):
    config_class = HouseConfig


class HouseTokenizer(BertTokenizerFast):
    saved_class = "HouseTokenizer"


def test_register(tmp_path):
    try:
        AutoConfig.register("house", HouseConfig)
        AutoModel.register(HouseConfig, HouseModel)
        AutoTokenizer.register(HouseConfig, fast_tokenizer_class=HouseTokenizer)
        config = AutoConfig.for_model("house", **tiny.SIZES, pos="7", scale=0.1)
        assert config.contranorm_sites == ("attention_residual",)
        AutoModel.from_config(config).save_pretrained(tmp_path)
        HouseTokenizer().save_pretrained(tmp_path)
        assert type(AutoConfig.from_pretrained(tmp_path)) is HouseConfig
        assert type(AutoModel.from_pretrained(tmp_path)) is HouseModel
        assert type(AutoTokenizer.from_pretrained(tmp_path)) is HouseTokenizer
        with pytest.raises(ConfigurationError, match=r"'ForSequenceClassification' is registered for .* 'house'"):
            AutoModelForSequenceClassification.from_pretrained(tmp_path)
        with pytest.raises(ConfigurationError, match="has a class for Model already"):
            AutoModel.register(HouseConfig, HouseModel)
        AutoModel.register(HouseConfig, HouseModel, exist_ok=True)
    finally:
        BACKBONES.pop("house", None)
    for call, match in (
        (lambda: AutoConfig.register("hut", HouseConfig), "expected 'hut'"),
        (lambda: AutoConfig.register("bert", BertConfig), "has a class for Config already"),
        (lambda: AutoConfig.register("", transformers.PretrainedConfig), "is derived from no kind of model here"),
        (lambda: AutoTokenizer.register(HouseConfig), "no tokenizer class"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            call()


def test_settings_that_a_class_of_tokenizers_does_not_read():
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])}
    bert = BertTokenizerFast(vocab=words, merges=[("a", "b")], keep_accents=True, add_bos_token=False)
    pieces = [("<pad>", 0.0), ("<unk>", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("[MASK]", 0.0), ("▁a", -1.0)]
    albert = transformers.AlbertTokenizerFast(vocab=pieces, merges=[("a", "b")])
    for tokenizer in (bert, albert):
        assert tokenizer("a")["input_ids"] == [2, 5, 3] and not {"merges", "add_bos_token"} & {*tokenizer.init_kwargs}
        assert tokenizer.backend == "tokenizers" and tokenizer.init_inputs == ()
    assert albert.vocab_file is None
    with pytest.raises(TypeError, match="add_bos_token"):  # which the stock library's class reads
        transformers.AlbertTokenizerFast(vocab=pieces, add_bos_token=True)


def test_special_tokens_without_a_role_by_their_ids(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder, add_bos_token=True)
    assert tokenizer.extra_special_tokens_ids == []
    tokenizer.additional_special_tokens_ids = [5, 7]
    assert tokenizer.extra_special_tokens == ["a", "c"] and tokenizer.extra_special_tokens_ids == [5, 7]
    assert tokenizer.decode([5, 6, 7], skip_special_tokens=True) == "b"
    with pytest.raises(ConfigurationError, match="id 99 is no token of the vocabulary of 12"):
        tokenizer.extra_special_tokens_ids = [5, 99]
    tokenizer.extra_special_tokens_ids = []
    assert tokenizer.extra_special_tokens == []


def generic_tokenizer():
    backend = Tokenizer(models.BPE({"<u>": 0, "[S]": 1, "a": 2}, [], unk_token="<u>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing("[S] $A", "[S] $A $B", special_tokens=[("[S]", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<u>", cls_token="[S]")


@pytest.mark.parametrize("kind", ["bert", "albert", "roberta", "generic"])
def test_a_new_vocabulary_for_a_tokenizer(kind, tmp_path):
    old = {
        "bert": lambda: BertTokenizerFast({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}),
        "albert": lambda: transformers.AlbertTokenizerFast(do_lower_case=True),
        "roberta": lambda: RobertaTokenizerFast.from_pretrained(train_byte_level_bpe(tmp_path / "old")),
        "generic": generic_tokenizer,
    }[kind]()
    texts = [["the red house stands by the river", "the river is red"]] * 20
    new = old.train_new_from_iterator(
        texts, 300 if kind == "roberta" else 60, new_special_tokens=["<x>"], special_tokens_map={old.cls_token: "<cls>"}
    )
    assert type(new) is type(old) and new.cls_token == "<cls>" and "<x>" in new.all_special_tokens
    assert new.unk_token_id not in new("the red river<x>")["input_ids"]
    ids = new("the river")["input_ids"]
    assert ids[0] == new.cls_token_id and "the river" in new.decode(ids, skip_special_tokens=True)
    assert 30 < len(new) <= 300 or kind == "albert"
    new.save_pretrained(tmp_path / "new")
    assert AutoTokenizer.from_pretrained(tmp_path / "new")("the river")["input_ids"] == ids


def test_a_stable_learning_rate_between_rise_and_fall():
    from test_optimization import rates

    found = rates("warmup_stable_decay", extra={"num_decay_steps": 4, "decay_type": "linear", "min_lr_ratio": 0.2})
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2])
    assert rates("inverse_sqrt", extra={"timescale": 2})[6] == pytest.approx(1 / math.sqrt(2))
    for extra, match in (
        ({}, "needs num_decay_steps"),
        ({"num_decay_steps": 9}, "do not make up"),
        ({"num_decay_steps": 4, "num_stable_steps": 5}, "do not make up"),
        ({"num_decay_steps": 4, "decay_type": "cubic"}, "decay_type 'cubic'"),
    ):
        with pytest.raises(ConfigurationError, match=match):
            rates("warmup_stable_decay", extra=extra)
