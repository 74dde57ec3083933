"""Precedence of the ContraNorm settings: command line, then the checkpoint's config, then the paper's."""

import pytest

from glue.cli.arguments import RunArguments
from glue.errors import UsageError
from glue.training.model import choose_settings
from transformers.utils.errors import ConfigurationError


def choose(config_dict, model_type="bert", **given):
    return choose_settings(
        RunArguments(task_name="rte", model_name_or_path="any/name", **given), config_dict, model_type
    )


def test_a_checkpoint_without_contranorm_gets_the_papers_setting():
    settings = choose({"hidden_size": 8})
    assert settings.values == {
        "method": "contranorm",
        "pos": "7",
        "scale": 0.005,
        "tau": 1.0,
        "contranorm_identity": True,
        "contranorm_padding": "exclude",
    }
    assert set(settings.origins.values()) == {"default"} and settings.sites == ("attention_residual",)


@pytest.mark.parametrize(
    ("knob", "stored", "given"),
    [
        ("pos", "3", "1"),
        ("scale", 0.2, 0.1),
        ("scale", 0.2, 0.0),
        ("tau", 2.0, 0.5),
        ("method", "contranorm_v2", "contranorm"),
        ("contranorm_identity", True, False),
        ("contranorm_identity", False, True),
        ("contranorm_padding", "include", "exclude"),
    ],
)
@pytest.mark.parametrize("model_type", ["bert", "albert"])
def test_command_line_then_checkpoint_then_default(knob, stored, given, model_type):
    from_checkpoint = choose({knob: stored}, model_type)
    assert (from_checkpoint.values[knob], from_checkpoint.origins[knob]) == (stored, "checkpoint")
    from_line = choose({knob: stored}, model_type, **{knob: given})
    assert (from_line.values[knob], from_line.origins[knob]) == (given, "command line")
    assert f"{knob} {given} (command line)" in from_line.summary()


def test_a_stored_zero_is_a_choice():
    assert choose({"scale": 0.0}).values["scale"] == 0.0
    assert choose({"scale": 0.0}).sites == () and "off, the plain model" in choose({"scale": 0.0}).summary()


def test_numbering_is_the_models_own():
    assert choose({}, "albert").sites == ("ffn_residual",)
    assert choose({"pos": 7}, "bert").sites == ("attention_residual",)


def test_negative_scale_attracts():
    assert choose({}, scale=-0.1).attracts and not choose({}, scale=0.1).attracts
    assert not choose({}, scale=-0.1, pos="0").attracts


def test_a_scale_for_each_layer_is_one_value():
    given = choose({}, scale="0.1, 0.2,-0.3")
    assert given.values["scale"] == "0.1,0.2,-0.3" and given.attracts
    assert "scale 0.1,0.2,-0.3 (command line)" in given.summary()
    assert choose({"scale": [0.1, 0.2]}).values["scale"] == choose({"scale": "0.1,0.2"}).values["scale"] == "0.1,0.2"
    assert choose({"scale": "0,0"}).sites == ()
    with pytest.raises(UsageError, match="--scale 'a,b': expected a number, or one a layer"):
        choose({}, scale="a,b")
    with pytest.raises(UsageError, match=r"--scale '0\.1,0\.2': expected a finite number"):
        choose({}, scale="0.1,0.2", method="centering")


def test_a_wrong_position_in_the_checkpoint_is_an_error():
    with pytest.raises(ConfigurationError, match="'9'"):
        choose({"pos": "9"})


def test_use_v2_is_an_alias_on_both_sides():
    assert choose({"use_v2": True}).values["method"] == "contranorm_v2"
    assert choose({"use_v2": True}, use_v2=False).values["method"] == "contranorm"
    assert choose({"use_v2": False}, use_v2=True).origins["method"] == "command line"


def test_the_identity_left_out_is_the_models():
    assert choose({}, "bert").values["contranorm_identity"] is True
    assert choose({}, "albert").values["contranorm_identity"] is False


def test_another_method_takes_no_knob_of_the_checkpoints():
    settings = choose({"pos": "3", "scale": 0.2, "tau": 2.0}, method="centering")
    assert settings.values == {"method": "centering", "pos": "7", "scale": 1.0}
    assert settings.origins["scale"] == "default" and settings.sites == ("attention_residual",)
    assert choose({"method": "centering", "scale": 0.5}).values["scale"] == 0.5


def test_method_none_is_the_plain_model():
    assert choose({"scale": 0.2}, method="none").sites == ()
