"""The configuration that all models share; mirrors Hugging Face's `PretrainedConfig`, with ContraNorm's settings.

A configuration is checked when it is built, so that a model never sees a value that it cannot honour. Keys that no
class here knows are attributes like any other and stay in the file through a load and a save.
"""

from __future__ import annotations

import copy
import difflib
import inspect
import json
import os
import re
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .backbones import FOR_STOCK
from .contranorm_sites import parse_positions
from .methods import Method, all_knobs, find_method, knobs_of, method_sites, of_each_layer, settings_of
from .utils import logging
from .utils.checks import ATTENTIONS, check_count, check_number, check_switch, drop_without_effect, is_whole
from .utils.errors import ConfigurationError
from .utils.files import make_folder, read_json, write_whole
from .utils.hub import HUB_ARGUMENTS, resolve_file

logger = logging.get_logger(__name__)

CONFIG_NAME = "config.json"
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")

# Written anew, or of no meaning away from where the file was saved.
_NOT_READ = (
    *("_name_or_path", "_commit_hash", "_attn_implementation", "transformers_version", "model_type", "contranorm_note"),
)

# What the stock library has and this one has not: the key, and the only values that mean "not used".
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "is_decoder": (False, None),
    "is_encoder_decoder": (False, None),
    "add_cross_attention": (False, None),
    "pruned_heads": ({}, None),
    "position_embedding_type": ("absolute", None),
    "quantization_config": (None, {}),
    "compression_config": (None, {}),
}

ConfigType = TypeVar("ConfigType", bound="PretrainedConfig")


class PretrainedConfig:
    """Settings of a model, read from and written to config.json.

    Args:
        num_labels: int, size of the classifier; default 2, or the number of entries in `id2label`.
        id2label, label2id: dicts between label ids (0, 1, ...) and names; default LABEL_0, LABEL_1, ...
        problem_type: "regression", "single_label_classification", "multi_label_classification", or None to infer.
        output_attentions, output_hidden_states, return_dict: defaults of a forward's arguments of these names.
        dtype, torch_dtype: name of the type that the weights were saved in, such as "float16"; the first counts.
        architectures: list of str, classes that the weights were saved from.
        pad_token_id, bos_token_id, eos_token_id: int or None.
        method: str, a key of `methods.METHODS`, or a class of your own; default "contranorm".
        use_v2: bool, released checkpoints' way to say that the method is "contranorm_v2".
        center: bool, kept for released checkpoints, without effect.
        unpad_inputs: bool, compute on real tokens only where that is possible; default True. The result is the same.
        tie_word_embeddings: bool, a head that predicts tokens has the word embeddings for its weights; default True.
        attn_implementation: "eager" or "sdpa" (default), for code that asks; the result is the same.
        **kwargs: pos, str or int: digits of the method's positions, "0" or "none" for none; default the method's own.
            The method's knobs (ContraNorm's are scale, tau, contranorm_identity, contranorm_padding): where one is left
            out, the value at which it changes nothing, if it has one, so that a new configuration is the plain model;
            a scale without a position acts at the method's own; ContraNorm's may be a list, or a text with commas, of
            one number a layer. Any other key is kept as an attribute.

    Raises:
        ConfigurationError: a value is wrong, or asks for something that this library does not have.

    Example:
        >>> config = PretrainedConfig(id2label={"0": "no", "1": "yes", "2": "maybe"}, house="red")
        >>> config.num_labels, config.id2label[2], config.label2id["yes"], config.house
        (3, 'maybe', 1, 'red')
    """

    model_type = ""
    is_decoder = False
    is_encoder_decoder = False
    add_cross_attention = False
    sub_configs: ClassVar[dict[str, Any]] = {}  # configurations of parts, as models of several kinds have them
    # Settings that the architecture does not have: a file that has them changes nothing by it.
    unread_settings: ClassVar[tuple[str, ...]] = ()

    # A setting is a name with a type and a default; a subclass adds its own in the same way, which come first in its
    # constructor, and changes a default without giving the type again.
    problem_type: str | None = None
    output_attentions: bool = False
    output_hidden_states: bool = False
    return_dict: bool = True
    architectures: list[str] | None = None
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    center: bool = False
    unpad_inputs: bool = True
    tie_word_embeddings: bool = True

    if TYPE_CHECKING:  # what the classes of the models and the methods add

        def __getattr__(self, name: str) -> Any: ...

    def __init__(
        self,
        *settings: Any,
        num_labels: int | None = None,
        id2label: dict[Any, str] | None = None,
        label2id: dict[str, int] | None = None,
        dtype: Any = None,
        torch_dtype: Any = None,
        method: str | type[Method] | None = None,
        use_v2: bool | None = None,
        **kwargs: Any,
    ) -> None:
        given = self._settings().bind(*settings, **kwargs)
        given.apply_defaults()
        kwargs = given.arguments.pop("kwargs")
        for key, value in given.arguments.items():
            setattr(self, key, value)
        if self.problem_type is not None and self.problem_type not in PROBLEM_TYPES:
            raise ConfigurationError(
                f"problem_type {self.problem_type!r}: expected one of {', '.join(PROBLEM_TYPES)}, or None"
            )
        # "float16" for torch.float16, for "torch.float16" and for itself.
        dtype = torch_dtype if dtype is None else dtype
        self.dtype = None if dtype is None else str(dtype).removeprefix("torch.")
        self._set_labels(num_labels, id2label, label2id)
        self._set_method(method, use_v2, kwargs)
        self.center = check_switch("center", self.center)
        self.unpad_inputs = check_switch("unpad_inputs", self.unpad_inputs)
        self.tie_word_embeddings = check_switch("tie_word_embeddings", self.tie_word_embeddings)

        self._attn_implementation = kwargs.pop("attn_implementation", None)
        self.name_or_path = str(kwargs.pop("name_or_path", None) or kwargs.pop("_name_or_path", None) or "")
        for key in (*_NOT_READ, *self.unread_settings):
            kwargs.pop(key, None)
        for key, value in kwargs.items():
            if key in _UNSUPPORTED and value not in _UNSUPPORTED[key]:
                only = f"only {_UNSUPPORTED[key][0]!r} is supported"
                raise ConfigurationError(
                    f"{key} {reprlib.repr(value)} is not in this library (an encoder for classification): {only}"
                )
            if hasattr(type(self), key) and key not in _UNSUPPORTED:
                raise ConfigurationError(f"configuration key {key!r} is the name of a method or property: rename it")
            setattr(self, key, value)
        if hasattr(type(self), "vocab_size"):
            self._check_encoder()

    def __init_subclass__(cls, **options: Any) -> None:
        """Show the settings of this class in the signature of its constructor."""
        super().__init_subclass__(**options)
        if "__init__" not in vars(cls):
            *settings, others = cls._settings().parameters.values()
            general = inspect.signature(PretrainedConfig.__init__).parameters.values()
            named = [item for item in general if item.kind is item.KEYWORD_ONLY]
            cls.__signature__ = inspect.Signature([*settings, *named, others])  # type: ignore[attr-defined]

    @classmethod
    def _declared(cls) -> dict[str, str]:
        """The settings that this class and its bases declare, with their types."""
        hints = [(base, name, hint) for base in cls.__mro__ for name, hint in inspect.get_annotations(base).items()]
        own = [(name, getattr(hint, "__name__", str(hint))) for base, name, hint in hints if name in vars(base)]
        return {name: hint for name, hint in own if not hint.startswith("ClassVar")}

    @classmethod
    def _settings(cls) -> inspect.Signature:
        """These settings as arguments of the constructor."""
        kind = inspect.Parameter
        settings = [kind(name, kind.POSITIONAL_OR_KEYWORD, default=getattr(cls, name)) for name in cls._declared()]
        return inspect.Signature([*settings, kind("kwargs", kind.VAR_KEYWORD)])

    @property
    def num_labels(self) -> int:
        """Number of labels; setting it renames them LABEL_0, LABEL_1, ... if the number changes."""
        return len(self.id2label)

    @num_labels.setter
    def num_labels(self, num_labels: int) -> None:
        if num_labels != len(self.id2label):
            self._set_labels(num_labels, None, None)

    @property
    def torch_dtype(self) -> str | None:
        """The older name of `dtype`."""
        return self.dtype

    @property
    def use_v2(self) -> bool:
        """Whether the method is ContraNormV2, as released checkpoints say it."""
        return find_method(self.method).name == "contranorm_v2"

    @property
    def first_position(self) -> int:
        """The position of a sequence's first token."""
        return 0

    @property
    def longest_sequence(self) -> int:
        """The most tokens that a sequence can have."""
        return self.max_position_embeddings - self.first_position

    @property
    def contranorm_sites(self) -> tuple[str, ...]:
        """The sites at which the method acts, as `parse_positions` names them; empty for the plain model."""
        return () if self.build_method().is_neutral else parse_positions(self.pos, self.model_type)

    @property
    def use_return_dict(self) -> bool:
        """Another name of `return_dict`, which code for the stock library reads."""
        return self.return_dict

    @property
    def _attn_implementation(self) -> str:
        """How attention is computed, "sdpa" or "eager", as code for the stock library asks; the result is the same."""
        return vars(self).get("_attention", "sdpa")

    @_attn_implementation.setter
    def _attn_implementation(self, name: str | None) -> None:
        if name is not None and name not in ATTENTIONS:
            known = " or ".join(ATTENTIONS)
            raise ConfigurationError(f'Specified `attn_implementation="{name}"` is not supported: expected {known}')
        if name is not None:  # an update without a word about it changes nothing
            self._attention = name

    def get_text_config(self, **kwargs: Any) -> PretrainedConfig:
        """Return this configuration: there are no others inside it."""
        return self

    @property
    def packs(self) -> bool:
        """Whether a model may compute on real tokens only, as long as nobody looks inside."""
        return self.unpad_inputs and self.contranorm_padding != "include"

    def of_layer(self: ConfigType, number: int) -> ConfigType:
        """Return the configuration of a layer, counted from 0: this one, but for knobs that have a number a layer."""
        several = self._numbers_of_layers()
        if not several:
            return self
        config = copy.copy(self)
        vars(config).update({name: numbers[number] for name, numbers in several.items()})
        return config

    def _numbers_of_layers(self) -> dict[str, list[Any]]:
        found = {name: of_each_layer(getattr(self, name)) for name in knobs_of(self.method)}
        return {name: numbers for name, numbers in found.items() if numbers is not None}

    def build_method(self) -> Method:
        """Return the method with its knobs as they are set here."""
        return find_method(self.method).of_config(self)

    @classmethod
    def from_pretrained(
        cls: type[ConfigType], pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> Any:
        """Read the configuration of a checkpoint.

        Args:
            pretrained_model_name_or_path: a folder, a config.json file, or a Hub id.
            **kwargs: cache_dir, revision, token, local_files_only, force_download and subfolder say where to look (see
                `resolve_file`); `return_unused_kwargs`; anything else replaces a value of the file.

        Returns:
            The configuration; with `return_unused_kwargs=True` a pair of it and of the arguments that are no setting.

        Raises:
            CheckpointError: the file cannot be found or read.
            ConfigurationError: a value in it, or given here, is wrong or unknown, or the model is of another kind.
        """
        name = os.fspath(pretrained_model_name_or_path)
        config_dict, overrides = cls.get_config_dict(name, **kwargs)
        return cls._of_checkpoint(name, config_dict, overrides)

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read config.json as it stands.

        Returns:
            Its content, and the arguments that do not say where to look.

        Raises:
            CheckpointError: the file cannot be found or read.
        """
        name = os.fspath(pretrained_model_name_or_path)
        where = {key: kwargs.pop(key) for key in HUB_ARGUMENTS if key in kwargs}
        drop_without_effect(kwargs, kept=("attn_implementation",))
        path = name if os.path.isfile(name) else resolve_file(name, CONFIG_NAME, **where)
        assert path is not None  # resolve_file raises where a required file is missing
        return read_json(path), kwargs

    @classmethod
    def from_dict(
        cls: type[ConfigType], config_dict: dict[str, Any], return_unused_kwargs: bool = False, **kwargs: Any
    ) -> Any:
        """Build a configuration from the content of a config.json.

        Args:
            config_dict: the content; it is not changed.
            return_unused_kwargs: return a pair, the second being arguments that are no setting, instead of raising.
            **kwargs: values that replace those of the content.

        Raises:
            ConfigurationError: a value is wrong, or an argument is no setting of this configuration.
        """
        values = copy.deepcopy(config_dict)
        values.pop("attn_implementation", None)  # of the machine, not of the model
        known = cls._setting_names() | set(values)
        unused = {key: kwargs.pop(key) for key in list(kwargs) if key not in known}
        if unused and not return_unused_kwargs:
            raise ConfigurationError(_unknown_setting(next(iter(unused)), known))

        named = len(values["id2label"]) if isinstance(values.get("id2label"), dict) else None
        if named is not None and values.pop("num_labels", named) != named:
            count = config_dict["num_labels"]
            logging.warning_once(logger, f"num_labels is {count} but id2label has {named}: going by id2label")
        if "id2label" in kwargs or kwargs.get("num_labels") not in (None, named):
            for key in ("num_labels", "id2label", "label2id"):
                values.pop(key, None)
        for newer, older in _TWO_NAMES:
            if newer in kwargs:
                values.pop(older, None)
        values.update(kwargs)
        config = cls(**values)
        return (config, unused) if return_unused_kwargs else config

    @classmethod
    def from_json_file(cls: type[ConfigType], json_file: str | os.PathLike[str]) -> ConfigType:
        """Build a configuration from a file as `to_json_file` writes it.

        Raises:
            CheckpointError: the file cannot be read.
            ConfigurationError: a value in it is wrong.
        """
        return cls._of_checkpoint(os.fspath(json_file), read_json(json_file), {})

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as a dictionary, model_type and the version of this library among them."""
        values = {
            key: copy.deepcopy(value) for key, value in vars(self).items() if key not in ("name_or_path", "_attention")
        }
        values |= {"method": find_method(self.method).name, "use_v2": self.use_v2}
        return {**values, "model_type": self.model_type, "transformers_version": _library_version()}

    def to_diff_dict(self) -> dict[str, Any]:
        """Return what goes into config.json: everything but those general settings that stand at their default."""
        plain = PretrainedConfig()
        written = {*_ALWAYS_WRITTEN, *knobs_of(self.method)}
        defaults = {key: value for key, value in vars(plain).items() if key not in written}
        values = {key: value for key, value in self.to_dict().items() if key not in defaults or value != defaults[key]}
        if self.contranorm_sites:
            knobs = ", ".join(f"{name} {values[name]}" for name in knobs_of(self.method))
            values["contranorm_note"] = (
                f"{values['method']} acts at {', '.join(self.contranorm_sites)} with {knobs}. The transformers "
                "library from PyPI does not know it, drops it without a word and computes another function."
            )
        return values

    def to_json_string(self, use_diff: bool = True) -> str:
        """Return the text of config.json, with all general settings where `use_diff` is False."""
        return json.dumps(self.to_diff_dict() if use_diff else self.to_dict(), indent=2, sort_keys=True) + "\n"

    def to_json_file(self, json_file_path: str | os.PathLike[str], use_diff: bool = True) -> None:
        """Write the text of config.json to a file.

        Raises:
            CheckpointError: it cannot be written.
        """
        text = self.to_json_string(use_diff)
        write_whole(Path(json_file_path), lambda path: path.write_text(text, encoding="utf-8"))

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write config.json into a folder, which is created if it does not exist.

        Args:
            save_directory: the folder.
            **kwargs: arguments of the stock library that make no difference here.

        Raises:
            CheckpointError: the folder or the file cannot be written.
        """
        drop_without_effect(kwargs, only=True)
        self.to_json_file(make_folder(save_directory) / CONFIG_NAME)

    def update(self, config_dict: dict[str, Any]) -> None:
        """Replace several settings at once, checked like those of a new configuration."""
        values = {**self.to_dict(), "method": self.method}
        changes = {key: value for key, value in config_dict.items() if key in values or key in self._setting_names()}
        checked = type(self).from_dict({**values, **config_dict}, **changes)
        checked.name_or_path = self.name_or_path
        vars(self).update(vars(checked))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PretrainedConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string().rstrip()}"

    @classmethod
    def _of_checkpoint(cls: type[ConfigType], name: str, config_dict: dict[str, Any], overrides: dict[str, Any]) -> Any:
        """Build the configuration of the checkpoint `name`, which errors then mention."""
        found = config_dict.get("model_type", cls.model_type)
        if cls.model_type and found == FOR_STOCK + cls.model_type:  # what it says of a file is for the stock library
            config_dict = {key: value for key, value in config_dict.items() if key != "auto_map"}
        elif cls.model_type and found != cls.model_type:
            raise ConfigurationError(
                f"{name} holds a model of type {found!r}, {cls.__name__} reads {cls.model_type!r} only: use AutoConfig"
            )
        try:
            return cls.from_dict({**config_dict, "name_or_path": name}, **overrides)
        except ConfigurationError as error:
            raise ConfigurationError(f"configuration of {name}: {error}") from error

    @classmethod
    def _setting_names(cls) -> set[str]:
        """Names of all constructor arguments, and the stock example's `finetuning_task`, which is only stored."""
        names = {"finetuning_task", "attn_implementation", "pos", *all_knobs(), *cls._settings().parameters}
        for base in cls.__mro__[:-1]:
            names.update(inspect.signature(base.__init__).parameters)  # type: ignore[misc]
        return names - {"self", "settings", "kwargs"}

    def _set_method(self, method: str | type[Method] | None, use_v2: bool | None, values: dict[str, Any]) -> None:
        """Take the method, its position and its knobs out of `values`."""
        if use_v2 is not None and check_switch("use_v2", use_v2) and method in (None, "contranorm"):
            method = "contranorm_v2"
        self.method = "contranorm" if method is None else method
        found = find_method(self.method)
        for name, value in {**settings_of("contranorm", {}), **settings_of(found, values)}.items():
            setattr(self, name, value)
        for name in knobs_of(found):
            values.pop(name, None)
        pos = values.pop("pos", found.defaults(self.model_type)["pos"] if self.model_type else found.pos)
        self.pos = "0" if pos is None else str(pos).strip().lower()
        if self.model_type:
            method_sites(found, pos, self.model_type)

    def _set_labels(self, num_labels: Any, id2label: Any, label2id: Any) -> None:
        if id2label is None and isinstance(label2id, dict) and label2id:
            id2label = {index: name for name, index in label2id.items()}
        elif id2label is None:
            count = 2 if num_labels is None else check_count("num_labels", num_labels)
            if count > _MOST_LABELS:
                raise ConfigurationError(f"num_labels {count}: expected at most {_MOST_LABELS}")
            id2label = {index: f"LABEL_{index}" for index in range(count)}
        try:
            self.id2label: dict[int, str] = {int(index): name for index, name in id2label.items()}
            names_and_ids = (*self.id2label.values(), *(label2id or {}).values())
            hash(names_and_ids)  # what no dict takes as a key is no name, nor id
        except (AttributeError, TypeError, ValueError):
            shown = f"id2label {reprlib.repr(id2label)}, label2id {reprlib.repr(label2id)}"
            raise ConfigurationError(f"{shown}: expected dicts from label ids to names and back") from None
        if not self.id2label or sorted(self.id2label) != list(range(len(self.id2label))):
            ids = reprlib.repr(list(self.id2label))
            raise ConfigurationError(f"id2label has the ids {ids}: give it with 0, 1, ... without a gap")
        if num_labels is not None and num_labels != len(self.id2label):
            raise ConfigurationError(
                f"num_labels {num_labels!r} but id2label has {len(self.id2label)}: give one of them"
            )
        self.label2id: dict[str, int] = label2id or self._ids_by_name()
        if not self._labels_agree():
            shown = f"id2label says {reprlib.repr(self.id2label)} but label2id {reprlib.repr(label2id)}"
            logging.warning_once(logger, f"{shown}: going by id2label")
            self.label2id = self._ids_by_name()

    def _ids_by_name(self) -> dict[str, int]:
        return {name: index for index, name in self.id2label.items()}

    def _labels_agree(self) -> bool:
        """Whether label2id leads back from every name to its id; placeholders on either side say nothing."""
        for names in (self.label2id, self.id2label.values()):
            if all(_PLACEHOLDER.fullmatch(str(name)) for name in names):
                return True
        return all(self.id2label.get(self.label2id.get(name, -1)) == name for name in self.id2label.values())

    def _check_encoder(self) -> None:
        """Check sizes and rates that every encoder has."""
        for key, kind in self._declared().items():
            value = getattr(self, key)
            if kind == "int":
                check_count(key, value)
            elif kind == "str" and not isinstance(value, str):
                raise ConfigurationError(f"{key} {value!r}: expected the name of an activation, such as gelu")
            elif kind == "float | None" and value is None:
                continue
            elif kind.startswith("float") and (check_number(key, value) < 0 or ("dropout" in key and value > 1)):
                limits = "from 0 to 1" if "dropout" in key else "that is not negative"
                raise ConfigurationError(f"{key} {value!r}: expected a number {limits}")
        for name, numbers in self._numbers_of_layers().items():
            said = f"{name} {getattr(self, name)}"
            if hasattr(self, "num_hidden_groups"):
                raise ConfigurationError(f"{said}: {self.model_type} uses its layers several times: give one number")
            if len(numbers) != self.num_hidden_layers:
                raise ConfigurationError(f"{said}: {len(numbers)} numbers for {self.num_hidden_layers} layers")
        if self.hidden_size % self.num_attention_heads:
            raise ConfigurationError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.longest_sequence < 1:
            raise ConfigurationError(f"max_position_embeddings {self.max_position_embeddings}: no room for a token")
        pad = self.pad_token_id
        if pad is not None and (not is_whole(pad) or not 0 <= pad < self.vocab_size):
            raise ConfigurationError(
                f"pad_token_id {pad!r}: expected an id below vocab_size {self.vocab_size}, or None"
            )

    def parameter_estimate(self) -> int:
        """Return about how many parameters a model of these sizes has, before any memory is taken for it."""
        width, hidden = getattr(self, "embedding_size", self.hidden_size), self.hidden_size
        layers = getattr(self, "num_hidden_groups", self.num_hidden_layers) * getattr(self, "inner_group_num", 1)
        tables = width * (self.vocab_size + self.max_position_embeddings + getattr(self, "type_vocab_size", 0))
        return tables + hidden * self.num_labels + layers * hidden * (4 * hidden + 2 * self.intermediate_size)


PreTrainedConfig = PretrainedConfig  # the newer spelling of the name

_PLACEHOLDER = re.compile(r"LABEL_\d+")
_MOST_LABELS = 10**6  # far above every classifier there is: what is beyond it is a damaged file

_ALWAYS_WRITTEN = ("method", "pos", "use_v2", "center", "unpad_inputs")

# Settings that have another, older name: where one is given, what the file says under the other does not count.
_TWO_NAMES = (("dtype", "torch_dtype"), ("torch_dtype", "dtype"), ("method", "use_v2"), ("use_v2", "method"))


def _unknown_setting(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else "a key of your own belongs into config.json, where it is kept"
    return f"{name!r} is neither an argument here nor a setting of this model: {hint}"


def _library_version() -> str:
    from . import __version__

    return __version__
