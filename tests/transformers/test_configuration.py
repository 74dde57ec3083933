"""Configurations: labels, ContraNorm's settings, reading, overriding, writing, and everything that must be refused."""

import inspect
import json

import pytest

from transformers import (
    AlbertConfig,
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    CheckpointError,
    ConfigurationError,
    DistilBertConfig,
    ElectraConfig,
    PretrainedConfig,
    RobertaConfig,
)


def write(folder, **content):
    (folder / "config.json").write_text(json.dumps(content))
    return str(folder)


def test_labels_follow_from_whichever_is_given():
    assert BertConfig().id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert BertConfig(num_labels=3).label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    assert BertConfig(id2label={"0": "no", "1": "yes", "2": "may"}).num_labels == 3
    assert BertConfig(label2id={"no": 0, "yes": 1}).id2label == {0: "no", 1: "yes"}
    assert BertConfig(num_labels=1).num_labels == 1
    config = BertConfig(id2label={0: "no", 1: "yes"})
    config.num_labels = 2
    assert config.id2label[1] == "yes"
    config.num_labels = 4
    assert config.id2label[3] == "LABEL_3" and config.label2id["LABEL_3"] == 3


def test_override_of_num_labels_keeps_names_only_if_the_number_stays(tmp_path):
    name = write(tmp_path, model_type="bert", id2label={"0": "no", "1": "yes"}, label2id={"no": 0, "yes": 1})
    assert AutoConfig.from_pretrained(name, num_labels=2).label2id == {"no": 0, "yes": 1}
    assert AutoConfig.from_pretrained(name, num_labels=3).label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    assert AutoConfig.from_pretrained(name, id2label={0: "a", 1: "b", 2: "c"}).label2id == {"a": 0, "b": 1, "c": 2}


def test_a_file_whose_numbers_of_labels_disagree_goes_by_the_names(tmp_path, library_log):
    name = write(tmp_path, model_type="bert", num_labels=5, id2label={"0": "no", "1": "yes"})
    for _ in range(3):  # as a run reads it, for which it is said once
        assert AutoConfig.from_pretrained(name).num_labels == 2
    (message,) = library_log
    assert "going by id2label" in message


# id2label, label2id, whether they contradict each other
LABELS = [
    ({"0": "no", "1": "yes"}, {"no": 1, "yes": 0}, True),
    ({"0": "no", "1": "yes"}, {"off": 0, "on": 1}, True),
    ({"0": "no", "1": "yes"}, {"no": 0, "yes": "1"}, True),
    ({"0": "no", "1": "yes"}, {"no": 0, "yes": 1, "never": 0}, False),
    ({"0": "no", "1": "yes"}, {"LABEL_0": 0, "LABEL_1": 1}, False),
    ({"0": "same", "1": "same"}, {"same": 1}, False),
]


@pytest.mark.parametrize(("id2label", "label2id", "contradict"), LABELS, ids=str)
def test_names_of_labels_that_contradict_each_other_are_pointed_out(
    tmp_path, library_log, id2label, label2id, contradict
):
    name = write(tmp_path, model_type="bert", id2label=id2label, label2id=label2id)
    for _ in range(2):
        config = AutoConfig.from_pretrained(name)
    assert len(library_log) == contradict and list(config.id2label.values()) == list(id2label.values())
    if contradict:
        assert "but label2id" in library_log[0] and config.label2id == {"no": 0, "yes": 1}


def test_a_byte_order_mark_in_front_of_a_file_is_no_content(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 24}', encoding="utf-8-sig")
    assert AutoConfig.from_pretrained(tmp_path).hidden_size == 24


# What lies in a folder, and what the message about it says besides what is missing.
MISTAKEN = {
    "adapter": (["adapter_config.json", "adapter_model.safetensors"], r"holds an adapter \(PEFT\).* merge_and_unload"),
    "around checkpoints": (
        ["checkpoint-500/config.json", "checkpoint-1000/config.json"],
        r"such as .*checkpoint-1000$",
    ),
    "home": (["hub/models--me--tiny/refs/main"], r"is a cache of the Hub: give the id of a model, such as me/tiny$"),
    "hub": (["models--tiny/refs/main"], r"is a cache of the Hub: give the id of a model, such as tiny$"),
    "models--me--tiny": (["snapshots/abc/config.json"], r"give its id, me/tiny, or a folder in .*/snapshots$"),
    "checkpoint-500": (["trainer_state.json"], r"a checkpoint of the stock library's Trainer"),
    "nothing known": (["notes.txt"], r"has no file config.json$"),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_a_folder_that_is_no_checkpoint_is_called_what_it_is(tmp_path, name):
    files, message = MISTAKEN[name]
    for file in files:
        (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / file).write_text("{}")
    with pytest.raises(CheckpointError, match=message):
        AutoConfig.from_pretrained(tmp_path / name)
    if name in ("adapter", "checkpoint-500"):  # with a configuration beside, the next thing that is missing says it
        write(tmp_path / name, model_type="bert")
        for missing in (AutoModel, AutoTokenizer):
            with pytest.raises(CheckpointError, match=message):
                missing.from_pretrained(tmp_path / name)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"num_labels": 3, "id2label": {0: "a"}}, "give one of them"),
        ({"id2label": {0: "a", 2: "b"}}, "without a gap"),
        ({"id2label": {"x": "a"}}, "id2label"),
        ({"id2label": ["a"]}, "id2label"),
        ({"id2label": {0: ["a"]}}, "id2label"),
        ({"id2label": {0: "a"}, "label2id": {"a": {}}}, "label2id"),
        ({"id2label": {0: "a"}, "label2id": ["a"]}, "label2id"),
        ({"num_labels": 0}, "num_labels 0"),
        ({"num_labels": True}, "num_labels True"),
        ({"pos": "9"}, "layer_input"),  # the message holds the table
        ({"pos": ""}, "pos ''"),
        ({"pos": 1.5}, "pos 1.5"),
        ({"pos": True}, "pos True"),
        ({"pos": -1}, "pos -1"),
        ({"scale": float("nan")}, "scale nan"),
        ({"scale": float("inf")}, "scale inf"),
        ({"scale": "0.1"}, "scale '0.1'"),
        ({"scale": None}, "scale None"),
        ({"tau": 0}, "tau 0"),
        ({"tau": -1.0}, "tau -1"),
        ({"tau": float("inf")}, "tau inf"),
        ({"contranorm_padding": "some"}, "exclude or include"),
        ({"use_v2": "yes"}, "use_v2 'yes'"),
        ({"contranorm_identity": "no"}, "contranorm_identity 'no'"),
        ({"is_decoder": True}, "is_decoder True"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"position_embedding_type": "relative_key"}, "'absolute' is supported"),
        ({"problem_type": "ranking"}, "problem_type 'ranking'"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config {'quant_method': 'gptq'} is not in"),
        ({"id2label": {1: "a", 2: "b"}}, "ids [1, 2]: give it with 0, 1"),
        ({"hidden_size": 10, "num_attention_heads": 3}, "not a multiple"),
        ({"num_hidden_layers": 0}, "num_hidden_layers 0"),
        ({"vocab_size": "many"}, "vocab_size 'many'"),
        ({"hidden_dropout_prob": 1.5}, "from 0 to 1"),
        ({"hidden_dropout_prob": None}, "hidden_dropout_prob None"),
        ({"layer_norm_eps": -1e-3}, "not negative"),
        ({"pad_token_id": 30522}, "pad_token_id 30522"),
        ({"to_dict": 1}, "name of a method"),
    ],
)
def test_wrong_values_are_refused_by_name(settings, part):
    with pytest.raises(ConfigurationError) as error:
        BertConfig(**settings)
    assert part in str(error.value)


def test_contranorm_settings_and_their_defaults():
    config = BertConfig()
    assert (config.pos, config.scale, config.tau, config.use_v2, config.center) == ("7", 0.0, 1.0, False, False)
    assert (config.contranorm_padding, config.contranorm_identity, config.unpad_inputs) == ("exclude", None, True)
    assert config.contranorm_sites == ()
    assert BertConfig(pos=7, scale=0.1).contranorm_sites == ("attention_residual",)
    assert AlbertConfig(pos=7, scale=0.1).contranorm_sites == ("ffn_residual",)
    assert BertConfig(pos=7).pos == "7" and BertConfig(pos=None).pos == "0"
    assert BertConfig(pos="none", scale=0.1).contranorm_sites == ()
    assert BertConfig(scale=-0.5).contranorm_sites == ("attention_residual",)


def test_a_round_trip_keeps_unknown_keys_and_both_names_of_the_dtype(tmp_path):
    name = write(
        tmp_path,
        model_type="albert",
        hidden_size=12,
        num_attention_heads=3,
        down_scale_factor=1,
        house={"red": [1, 2.5, None]},
        _attn="x",
        torch_dtype="float16",
        transformers_version="9.9",
        problem_type="regression",
        scale=0.02,
        pos=17,
    )
    first = AutoConfig.from_pretrained(name)
    first.save_pretrained(tmp_path / "again")
    content = json.loads((tmp_path / "again" / "config.json").read_text())
    assert content["house"] == {"red": [1, 2.5, None]} and content["_attn"] == "x" and content["down_scale_factor"] == 1
    assert content["dtype"] == "float16" and content["pos"] == "17" and content["scale"] == 0.02
    assert content["problem_type"] == "regression"
    assert "_name_or_path" not in content and "name_or_path" not in content and str(tmp_path) not in str(content)
    assert AutoConfig.from_pretrained(name, dtype="bfloat16").dtype == "bfloat16"
    second = AutoConfig.from_pretrained(tmp_path / "again")
    assert second == first and second.torch_dtype == "float16"
    assert second.name_or_path == str(tmp_path / "again")


def test_of_the_two_names_of_the_dtype_the_newer_one_counts(tmp_path):
    assert BertConfig(dtype="bfloat16", torch_dtype="float16").dtype == "bfloat16"
    name = write(tmp_path, model_type="bert", torch_dtype="float16", dtype="bfloat16")
    assert AutoConfig.from_pretrained(name).torch_dtype == "bfloat16"
    assert AutoConfig.from_pretrained(name, torch_dtype="float32").dtype == "float32"


def test_files_of_any_name(tmp_path):
    config = BertConfig(num_labels=3, house="red")
    config.to_json_file(tmp_path / "mine.json")
    assert BertConfig.from_json_file(tmp_path / "mine.json") == config
    assert "return_dict" not in json.loads((tmp_path / "mine.json").read_text())
    config.to_json_file(tmp_path / "mine.json", use_diff=False)
    assert "return_dict" in json.loads((tmp_path / "mine.json").read_text())
    with pytest.raises(ConfigurationError, match=r"reads 'albert' only"):
        AlbertConfig.from_json_file(tmp_path / "mine.json")
    with pytest.raises(CheckpointError, match=r"cannot be read"):
        BertConfig.from_json_file(tmp_path / "absent.json")


def test_an_encoder_says_that_it_is_no_decoder(tmp_path):
    config = AutoConfig.from_pretrained(write(tmp_path, model_type="bert", is_decoder=False))
    assert not (config.is_decoder or config.is_encoder_decoder or config.add_cross_attention)
    assert "is_encoder_decoder" not in config.to_dict()


def test_every_contranorm_setting_is_written_and_general_defaults_are_not():
    content = json.loads(BertConfig().to_json_string())
    for key in ("pos", "scale", "tau", "use_v2", "center", "contranorm_padding", "contranorm_identity", "unpad_inputs"):
        assert key in content
    assert content["model_type"] == "bert" and content["vocab_size"] == 30522
    assert not {"return_dict", "id2label", "problem_type", "contranorm_note"} & set(content)
    assert "return_dict" in json.loads(BertConfig().to_json_string(use_diff=False))
    assert json.loads(BertConfig(num_labels=3).to_json_string())["id2label"]["2"] == "LABEL_2"


def test_the_note_about_the_stock_library_follows_the_setting(tmp_path):
    BertConfig(scale=0.1, pos="71").save_pretrained(tmp_path)
    assert (
        "layer_input, attention_residual with scale 0.1"
        in json.loads((tmp_path / "config.json").read_text())["contranorm_note"]
    )
    plain = BertConfig.from_pretrained(tmp_path, scale=0.0)
    assert "contranorm_note" not in plain.to_diff_dict() and not hasattr(plain, "contranorm_note")


def test_overrides_unknown_ones_and_unused_ones(tmp_path):
    name = write(tmp_path, model_type="bert", house="red", pos="9")
    config = AutoConfig.from_pretrained(name, house="blue", pos=3, scale=0.1, finetuning_task="cola", revision="main")
    assert (config.house, config.pos, config.scale, config.finetuning_task) == ("blue", "3", 0.1, "cola")
    with pytest.raises(
        ConfigurationError, match=r"'scal' is neither an argument here nor a setting.*did you mean 'scale'"
    ):
        AutoConfig.from_pretrained(name, scal=0.1, pos=1)
    config, unused = AutoConfig.from_pretrained(name, pos=1, wheels=4, return_unused_kwargs=True)
    assert unused == {"wheels": 4} and not hasattr(config, "wheels")
    with pytest.raises(ConfigurationError) as error:  # the file's own position is wrong
        AutoConfig.from_pretrained(name)
    assert str(error.value).startswith(f"configuration of {name}: pos '9'")


def test_update_checks_like_the_constructor():
    config = BertConfig()
    config.update({"pos": 1, "house": "red"})
    assert config.pos == "1" and config.house == "red" and config.vocab_size == 30522
    with pytest.raises(ConfigurationError):
        config.update({"tau": 0})
    assert config.tau == 1.0


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b'{"model_type": "bert"', "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"model_type": "\xff"}', "not valid JSON"),
        (b"[1]", "expected an object"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_a_broken_file_is_one_line_that_names_it(tmp_path, content, part):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        AutoConfig.from_pretrained(tmp_path)
    assert part in str(error.value) and str(tmp_path / "config.json") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_missing_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no file config.json"):
        AutoConfig.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"no such folder"):
        AutoConfig.from_pretrained(tmp_path / "nowhere")


def test_a_file_may_be_named_itself(tmp_path):
    write(tmp_path, model_type="bert", hidden_size=24)
    assert AutoConfig.from_pretrained(tmp_path / "config.json").hidden_size == 24


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"model_type": "llama"}, "'llama': this lean library has bert, albert, roberta, electra, distilbert only"),
        ({"vocab_size": 3}, "no model_type"),
        ({"model_type": ["bert"]}, "this lean library has"),
    ],
)
def test_kinds_of_models_that_are_not_ours(tmp_path, content, part):
    with pytest.raises(ConfigurationError) as error:
        AutoConfig.from_pretrained(write(tmp_path, **content))
    assert part in str(error.value)


def test_a_class_refuses_the_file_of_the_other(tmp_path):
    with pytest.raises(ConfigurationError, match=r"use AutoConfig"):
        BertConfig.from_pretrained(write(tmp_path, model_type="albert"))
    assert BertConfig.from_pretrained(write(tmp_path, vocab_size=7)).vocab_size == 7  # an old file without model_type


def test_not_a_number_in_a_file_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "scale": NaN}')
    with pytest.raises(ConfigurationError, match=r"scale nan"):
        AutoConfig.from_pretrained(tmp_path)


def test_saving_where_a_file_stands(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot be made a folder"):
        BertConfig().save_pretrained(tmp_path / "file")


def test_auto_config_has_no_instances_and_builds_by_type():
    with pytest.raises(TypeError, match=r"from_pretrained"):
        AutoConfig()
    assert isinstance(AutoConfig.for_model("bert", vocab_size=5), BertConfig)
    assert PretrainedConfig(pad_token_id=3) != PretrainedConfig()


DISTILBERT_NAMES = {
    "num_hidden_layers": ("n_layers", 2),
    "num_attention_heads": ("n_heads", 3),
    "hidden_size": ("dim", 24),
    "intermediate_size": ("hidden_dim", 40),
    "hidden_dropout_prob": ("dropout", 0.2),
    "attention_probs_dropout_prob": ("attention_dropout", 0.3),
    "hidden_act": ("activation", "relu"),
    "classifier_dropout": ("seq_classif_dropout", 0.4),
}


def test_distilbert_goes_by_its_own_names_and_by_the_common_ones(tmp_path):
    own = dict(DISTILBERT_NAMES.values())
    common = {name: value for name, (_, value) in DISTILBERT_NAMES.items()}
    by_file = {
        name: AutoConfig.from_pretrained(write(tmp_path, model_type="distilbert", **settings))
        for name, settings in (("own", own), ("common", common))
    }
    configs = [DistilBertConfig(**own), DistilBertConfig(**common), *by_file.values()]
    for config in configs:
        assert config == configs[0]
        assert {name: getattr(config, name) for name in (*own, *common)} == own | common
        assert own.items() <= config.to_dict().items() and not common.keys() & config.to_dict().keys()
    config = configs[0]
    config.hidden_act, config.n_layers = "gelu", 5
    assert config.activation == "gelu" and config.num_hidden_layers == 5
    config.update({"num_hidden_layers": 1})
    assert config.n_layers == 1
    with pytest.raises(AttributeError, match="no setting 'depth'"):
        config.depth  # noqa: B018


@pytest.mark.parametrize("in_file", ["n_layers", "num_hidden_layers"])
@pytest.mark.parametrize("asked", ["n_layers", "num_hidden_layers"])
def test_what_is_asked_for_replaces_a_file_that_says_it_by_another_name(tmp_path, in_file, asked):
    folder = write(tmp_path, model_type="distilbert", **{in_file: 4})
    assert AutoConfig.from_pretrained(folder, **{asked: 2}).n_layers == 2


def test_what_is_no_setting_of_distilbert_changes_nothing(tmp_path):
    config = AutoConfig.from_pretrained(write(tmp_path, model_type="distilbert", type_vocab_size=2, layer_norm_eps=1.0))
    assert config == DistilBertConfig() and config.layer_norm_eps == 1e-12
    with pytest.raises(ConfigurationError, match="hidden_size 25 is not a multiple"):
        DistilBertConfig(dim=25)


def test_roberta_counts_positions_from_its_padding_id():
    config = RobertaConfig(max_position_embeddings=514)
    assert (config.pad_token_id, config.first_position, config.longest_sequence) == (1, 2, 512)
    with pytest.raises(ConfigurationError, match="pad_token_id None"):
        RobertaConfig(pad_token_id=None)


def test_settings_by_place_are_the_stock_librarys():
    assert BertConfig(99, 8, 3, 2, 16).intermediate_size == 16
    assert AlbertConfig(99, 4, 8, 3, 1, 2).num_attention_heads == 2
    assert ElectraConfig(99, 4, 8, 3, 2, 16, "relu").hidden_act == "relu"
    assert RobertaConfig(99, 8, 3, 2).num_hidden_layers == 3
    assert DistilBertConfig(99, 64).max_position_embeddings == 64
    with pytest.raises(TypeError, match="multiple values"):
        BertConfig(99, vocab_size=98)


def test_the_signature_shows_every_setting_with_its_default():
    shown = inspect.signature(RobertaConfig).parameters
    assert shown["vocab_size"].default == 50265 and shown["pad_token_id"].default == 1
    assert shown["num_labels"].kind is inspect.Parameter.KEYWORD_ONLY and "kwargs" in shown


def test_a_configuration_of_ones_own():
    class Mine(BertConfig):
        hidden_size = 8
        num_attention_heads = 2
        width_of_head: int = 4

    assert Mine(7).width_of_head == 7 and Mine().hidden_size == 8
    assert Mine.from_dict({}, width_of_head=5).width_of_head == 5
    with pytest.raises(ConfigurationError, match="width_of_head 0"):
        Mine(width_of_head=0)


def test_the_general_class_holds_any_settings():
    assert PretrainedConfig(hidden_size=8).hidden_size == 8
