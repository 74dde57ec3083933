"""What all models do besides computing: be initialised, loaded and saved; mirrors Hugging Face's `PreTrainedModel`."""

from __future__ import annotations

import copy
import inspect
import math
import os
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .backbones import backbone_of
from .configuration_utils import PretrainedConfig
from .for_stock import needs_file, write_for_stock
from .utils import logging
from .utils.checks import check_count, check_memory, drop_without_effect
from .utils.errors import CheckpointError, ConfigurationError, ShapeError
from .utils.files import make_folder, write_whole
from .utils.hub import HUB_ARGUMENTS
from .utils.loading import LoadingReport, describe, match_tensors, plain_name
from .utils.weight_files import SAFE_WEIGHTS_NAME, open_weights

logger = logging.get_logger(__name__)

ModelType = TypeVar("ModelType", bound="PreTrainedModel")


class PreTrainedModel(nn.Module):
    """Base of all models.

    A subclass sets `config_class` and `base_model_prefix`, the name under which a model with a head holds its base
    model; calls `post_init()` at the end of its constructor; and overrides `_init_weights` if it has modules that are
    not drawn as BERT's are.

    Args:
        config: the settings of the model.

    Example:
        >>> import tempfile
        >>> from transformers import BertConfig, BertModel
        >>> config = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=8)
        >>> model = BertModel(config)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save_pretrained(folder)
        ...     again = BertModel.from_pretrained(folder)
        >>> all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters()))
        True
    """

    config_class: type[PretrainedConfig] = PretrainedConfig
    base_model_prefix: str = ""
    main_input_name: str = "input_ids"
    supports_gradient_checkpointing: bool = True
    _supports_sdpa: bool = True
    # Patterns of tensors, by name, that a checkpoint may lack without a word.
    _keys_to_ignore_on_load_missing: Sequence[str] | None = None

    def __init__(self, config: PretrainedConfig, *inputs: Any, **kwargs: Any) -> None:
        super().__init__()
        if not isinstance(config, PretrainedConfig):
            raise ConfigurationError(
                f"{type(self).__name__} was given a {type(config).__name__} as its config: expected a configuration; "
                "use from_pretrained to load a checkpoint by its name"
            )
        self.config = config

    @classmethod
    def from_pretrained(
        cls: type[ModelType],
        pretrained_model_name_or_path: str | os.PathLike[str] | None,
        *,
        config: PretrainedConfig | str | os.PathLike[str] | None = None,
        state_dict: dict[str, Tensor] | None = None,
        ignore_mismatched_sizes: bool = False,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        output_loading_info: bool = False,
        use_safetensors: bool | None = None,
        device_map: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Load a checkpoint, in evaluation mode.

        Args:
            pretrained_model_name_or_path: a local folder, or a Hub id; None where `config` and `state_dict` are given.
            config: a configuration, or where to read one; default that of the checkpoint.
            state_dict: tensors by their names, in the place of the checkpoint's own.
            ignore_mismatched_sizes: draw tensors anew that the checkpoint has in another shape, instead of raising.
            dtype, torch_dtype: type of the weights, two names of which the first counts; "auto" keeps the file's;
                default torch's default, float32.
            output_loading_info: return a pair, the second a dictionary with missing_keys, unexpected_keys,
                mismatched_keys.
            use_safetensors: True takes safetensors files only, False pickles only; default None whatever is there.
            device_map: one device to put the model on, as such or as `{"": device}`; default the CPU.
            **kwargs: cache_dir, revision, token, local_files_only, force_download, subfolder (see `resolve_file`);
                settings that replace those of the configuration; and arguments of the model's constructor. Those of the
                stock library that make no difference here, such as `low_cpu_mem_usage`, are accepted.

        Returns:
            The model, or the pair.

        Raises:
            CheckpointError: the checkpoint cannot be found or read, or does not fit (ShapeError: by a tensor's shape).
            ConfigurationError: a setting is wrong, unknown, or not supported.
        """
        if pretrained_model_name_or_path is None and (config is None or state_dict is None):
            raise ConfigurationError("without a checkpoint's name, config and state_dict are needed: give both")
        name = os.fspath(pretrained_model_name_or_path or "the given state_dict")
        drop_without_effect(kwargs, kept=("attn_implementation",))
        device = one_device("device_map", device_map)
        where = {key: kwargs.pop(key) for key in HUB_ARGUMENTS if key in kwargs}
        settings, model_arguments = cls._read_config(name, config, where, kwargs)
        stored = open_weights(name, use_safetensors, **where) if state_dict is None else state_dict
        check_memory(f"a model of the sizes in the configuration of {name}", 4 * settings.parameter_estimate())

        with _NothingDrawn():
            model = cls(settings, **model_arguments)
        model.to(_chosen_dtype(torch_dtype if dtype is None else dtype, settings, stored))
        backbone = backbone_of(settings.model_type)
        report = match_tensors(model, f"{cls.base_model_prefix}.", backbone, stored, name, [*model.tied_weights()])
        if report.mismatched and not ignore_mismatched_sizes:
            raise ShapeError(
                f"{name} does not fit: {'; '.join(describe(report.mismatched))}. Give other sizes, or "
                "ignore_mismatched_sizes=True (--ignore_mismatched_sizes of a run) to draw these anew"
            )
        model._fill(stored, report, name)
        accepted = [re.compile(pattern) for pattern in cls._keys_to_ignore_on_load_missing or ()]
        report.missing = [key for key in report.missing if not any(pattern.search(key) for pattern in accepted)]
        model.to(device).eval()
        logger.info("%s: loaded %d tensors from %s", cls.__name__, len(report.sources), name)
        if summary := report.summary():
            logger.warning("%s from %s:\n%s", cls.__name__, name, summary)
        return (model, report.as_info()) if output_loading_info else model

    @classmethod
    def from_config(cls: type[ModelType], config: PretrainedConfig, **kwargs: Any) -> ModelType:
        """Build a model with newly drawn weights.

        Args:
            config: its configuration.
            **kwargs: `dtype` (or `torch_dtype`) of the weights, and arguments of the model's constructor.
        """
        drop_without_effect(kwargs, kept=("attn_implementation",))
        if attention := kwargs.pop("attn_implementation", None):
            config = copy.deepcopy(config)
            config._attn_implementation = attention
        dtype, older = kwargs.pop("dtype", None), kwargs.pop("torch_dtype", None)
        dtype = older if dtype is None else dtype
        with _NothingDrawn():
            model = cls(config, **kwargs)
        for module in model.modules():
            module._weights_are_set = False  # type: ignore[assignment]
        model.init_weights()
        return model.to(_as_dtype(dtype)) if dtype is not None else model

    _from_config = from_config

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *,
        is_main_process: bool = True,
        state_dict: dict[str, Tensor] | None = None,
        for_stock: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write config.json and model.safetensors, which the stock library loads as well.

        Args:
            save_directory: a folder; created if it does not exist.
            is_main_process: False writes nothing: of several processes one should.
            state_dict: tensors to write in place of the model's own, such as those an accelerator gathered.
            for_stock: add a file that carries ContraNorm, so that the stock library computes this model as well, see
                `for_stock.py`; the plain model needs none.
            **kwargs: arguments of the stock library that make no difference here, such as `max_shard_size`.

        Raises:
            CheckpointError: the files cannot be written.
            ConfigurationError: an argument asks for what this library does not do, or the model has another method and
                cannot carry its layer.
        """
        drop_without_effect(kwargs, only=True)
        if not is_main_process:
            return
        carries_layer = for_stock and needs_file(self.config)
        folder = make_folder(save_directory)
        config = copy.deepcopy(self.config)
        config.architectures = [type(self).__name__]
        config.dtype = str(self.dtype).removeprefix("torch.")
        if carries_layer:
            write_for_stock(config, folder)
        else:
            config.save_pretrained(folder)
        named = {plain_name(name): tensor for name, tensor in (state_dict or self.state_dict()).items()}
        tensors = {name: tensor.contiguous() for name, tensor in named.items() if name not in self.tied_weights()}
        write_whole(folder / SAFE_WEIGHTS_NAME, lambda path: save_file(tensors, path, metadata={"format": "pt"}))
        if config.contranorm_sites and not carries_layer:
            method = config.to_dict()["method"]
            logging.warning_once(
                logger,
                f"The saved model uses {method}. Load it with this library: the transformers library from PyPI does "
                "not know it, leaves it out without a word and computes another function.",
            )

    def post_init(self) -> None:
        """Draw the initial weights; a model calls this at the end of its constructor."""
        self.init_weights()
        self.tie_weights()
        if getattr(self.config, "gradient_checkpointing", False):  # as configurations of older versions ask for it
            self.gradient_checkpointing_enable()

    @torch.no_grad()
    def init_weights(self) -> None:
        """Draw the weights of all modules that have none yet from this library: no module is drawn twice."""
        tied = {name.rpartition(".")[0] for name in self.tied_weights()}
        for name, module in self.named_modules():
            if not getattr(module, "_weights_are_set", False):
                if name not in tied:
                    self._init_weights(module)
                elif isinstance(module, nn.Linear):  # the weight is another module's
                    nn.init.zeros_(module.bias)
                module._weights_are_set = True

    def _init_weights(self, module: nn.Module) -> None:
        """Draw the weights of one module, not of its children, as BERT's were drawn."""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, nn.LayerNorm) and module.elementwise_affine:
            nn.init.ones_(module.weight)
        elif callable(reset := getattr(module, "reset_parameters", None)):
            reset()
            return
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight[module.padding_idx])
        if isinstance(bias := getattr(module, "bias", None), nn.Parameter):
            nn.init.zeros_(bias)

    @classmethod
    def can_generate(cls) -> bool:
        """Whether there is a `generate` that writes text: never here."""
        return False

    @classmethod
    def _can_set_attn_implementation(cls) -> bool:
        """Whether `set_attn_implementation` may be called: always."""
        return True

    def set_attn_implementation(self, attn_implementation: str) -> None:
        """Choose how attention is computed, "eager" or "sdpa"; the result is the same.

        Raises:
            ConfigurationError: it is something else.
        """
        self.config._attn_implementation = attn_implementation

    @property
    def base_model(self) -> nn.Module:
        """The model without its head; the model itself if it has none."""
        return getattr(self, self.base_model_prefix, self)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the floating-point parameters."""
        return next(parameter.dtype for parameter in self.parameters() if parameter.is_floating_point())

    @property
    def name_or_path(self) -> str:
        """Where the model was loaded from; empty for a new one."""
        return self.config.name_or_path

    @name_or_path.setter
    def name_or_path(self, name: str) -> None:
        self.config.name_or_path = name

    def get_input_embeddings(self) -> nn.Module:
        """Return the module that turns token ids into vectors."""
        embeddings: Any = self.base_model.embeddings
        return embeddings.word_embeddings

    def set_input_embeddings(self, value: Any) -> None:
        """Put another module in the place of the one that turns token ids into vectors."""
        embeddings: Any = self.base_model.embeddings
        embeddings.word_embeddings = value

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Module:
        """Give the model a vocabulary of another size.

        Args:
            new_num_tokens: int, the size; default the present one.
            pad_to_multiple_of: int, make the size a multiple of this.
            mean_resizing: bool, draw vectors of new tokens around the mean of the others, so that they begin as tokens
                of no meaning; False draws them as those of a new model. Default True.

        Returns:
            The module that turns token ids into vectors.

        Raises:
            ConfigurationError: a model cannot have that size, or `pad_to_multiple_of` is no whole number.
        """
        old: Any = self.get_input_embeddings()
        size = old.num_embeddings if new_num_tokens is None else new_num_tokens
        multiple = 1 if pad_to_multiple_of is None else check_count("pad_to_multiple_of", pad_to_multiple_of)
        size = math.ceil(size / multiple) * multiple
        self.config.update({"vocab_size": size})
        if size != old.num_embeddings:
            new = nn.Embedding(size, old.embedding_dim, padding_idx=old.padding_idx).to(old.weight)
            with torch.no_grad():
                self._init_weights(new)
                copy_rows(old.weight, new.weight, mean_resizing)
            new.weight.requires_grad_(old.weight.requires_grad)
            self.set_input_embeddings(new)
            self.tie_weights()
        return self.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module | None:
        """Return the layer that turns vectors into scores of tokens; None where there is none."""
        return None

    def set_output_embeddings(self, value: Any) -> None:
        """Put another layer in the place of the one that turns vectors into scores of tokens."""
        raise ConfigurationError(f"{type(self).__name__} predicts no tokens: it has no such layer")

    def tied_weights(self) -> dict[str, str]:
        """Return which tensors are others of this model, under a second name, by that name. Files have the others."""
        return {}

    def tie_weights(self, **kwargs: Any) -> None:
        """Make each of the `tied_weights` the tensor that it is said to be."""
        for name, source in self.tied_weights().items():
            owner, _, last = name.rpartition(".")
            setattr(self.get_submodule(owner), last, self.get_parameter(source))

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Return the number of parameters.

        Args:
            only_trainable: leave out those that need no gradient.
            exclude_embeddings: leave out all embedding tables.
        """
        tables = {id(m.weight) for m in self.modules() if isinstance(m, nn.Embedding)} if exclude_embeddings else set()
        return sum(
            parameter.numel()
            for parameter in self.parameters()
            if id(parameter) not in tables and (parameter.requires_grad or not only_trainable)
        )

    def get_memory_footprint(self, return_buffers: bool = True) -> int:
        """Return the bytes that the parameters take, and the buffers unless `return_buffers` is False."""
        tensors = [*self.parameters(), *(self.buffers() if return_buffers else ())]
        return sum(tensor.nbytes for tensor in tensors)

    def enable_input_require_grads(self) -> None:
        """Let gradients reach what the token ids are turned into, though the embeddings may be frozen."""
        self.disable_input_require_grads()
        self._gradient_hook = self.get_input_embeddings().register_forward_hook(
            lambda module, inputs, output: output.requires_grad_(True)
        )

    def disable_input_require_grads(self) -> None:
        """Take back what `enable_input_require_grads` did."""
        if (hook := self.__dict__.pop("_gradient_hook", None)) is not None:
            hook.remove()

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether activations are computed again in the backward pass instead of kept."""
        return self._encoder.gradient_checkpointing

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Save memory in training: keep no activations inside a layer, compute them again in the backward pass.

        Args:
            gradient_checkpointing_kwargs: accepted for the stock library's sake; how it is done makes no difference.
        """
        self._encoder.gradient_checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep activations, which is faster; the default."""
        self._encoder.gradient_checkpointing = False

    @property
    def _encoder(self) -> Any:
        encoder = getattr(self.base_model, "encoder", None)
        if encoder is None:
            raise ValueError(f"{type(self).__name__} has no gradient checkpointing")
        return encoder

    @classmethod
    def _read_config(
        cls, name: str, config: Any, where: dict[str, Any], kwargs: dict[str, Any]
    ) -> tuple[PretrainedConfig, dict[str, Any]]:
        """Return the configuration, and those of `kwargs` that are arguments of the model's constructor."""
        constructor = inspect.signature(cls.__init__).parameters
        model_arguments = {key: kwargs[key] for key in kwargs if key in constructor}
        overrides = {key: kwargs[key] for key in kwargs if key not in constructor}
        if not isinstance(config, PretrainedConfig):
            return cls.config_class.from_pretrained(config or name, **where, **overrides), model_arguments
        settings = {**config.to_dict(), "method": config.method}  # which may be a class that no file can name
        overrides = {"attn_implementation": config._attn_implementation, **overrides} if overrides else {}
        config = type(config).from_dict(settings, **overrides) if overrides else copy.deepcopy(config)
        config.name_or_path = name
        return config, model_arguments

    @torch.no_grad()
    def _fill(self, stored: dict[str, Tensor], report: LoadingReport, origin: str) -> None:
        """Draw anew what the checkpoint does not have, and copy the rest from it."""
        places = {name: tensor for name, tensor in self.state_dict().items() if name not in self.tied_weights()}
        # A module is initialised as a whole; those of its tensors that the checkpoint has are overwritten below.
        for name in dict.fromkeys(place.rpartition(".")[0] for place in places if place not in report.sources):
            self._init_weights(self.get_submodule(name))
        for place, name in report.sources.items():
            value, target = stored[name], places[place]
            if value.is_floating_point() != target.is_floating_point() or value.dtype.itemsize < 2:
                kinds = f"{value.dtype} where the model has {target.dtype}".replace("torch.", "")
                raise CheckpointError(f"{origin}: {name} is {kinds} (quantised checkpoints are not supported)")
            target.copy_(value)


class _NothingDrawn(TorchFunctionMode):
    """Let `torch.nn.init` draw nothing: weights are about to be loaded, and drawing them takes longer."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init" and func is not nn.init.constant_:
            return args[0] if args else (kwargs or {}).get("tensor")
        return func(*args, **(kwargs or {}))


def _chosen_dtype(dtype: torch.dtype | str | None, config: PretrainedConfig, stored: dict[str, Tensor]) -> torch.dtype:
    if dtype is None:
        return torch.get_default_dtype()
    if dtype != "auto":
        return _as_dtype(dtype)
    if config.dtype is not None:
        return _as_dtype(config.dtype)
    return next((tensor.dtype for tensor in stored.values() if tensor.is_floating_point()), torch.get_default_dtype())


def _as_dtype(dtype: torch.dtype | str) -> torch.dtype:
    found = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point or found.itemsize < 2:
        raise ConfigurationError(
            f"dtype {dtype!r}: expected a floating-point type such as float32, float16 or bfloat16"
        )
    return found


def copy_rows(old: Tensor, new: Tensor, mean_resizing: bool) -> None:
    """Copy as many rows of a table, or numbers of a vector, as a larger or smaller one has place for.

    Args:
        old, new: (N, ...) and (M, ...), the latter is changed.
        mean_resizing: draw those rows that `old` does not have around the mean of its rows, with 1e-9 of their
            variance; False leaves them as they are.
    """
    kept = min(len(old), len(new))
    new[:kept] = old[:kept]
    if mean_resizing and kept < len(new):
        spread, mean = torch.std_mean(old.double(), dim=0, correction=0)
        new[kept:] = mean + 1e-9**0.5 * spread * torch.randn_like(new[kept:], dtype=torch.float64)


def one_device(name: str, value: Any) -> torch.device:
    """Return the one device that an argument names, as such, by its number, or as `{"": device}`; None is the CPU.

    Raises:
        ConfigurationError: it names none that is there, or several.
    """
    device = value.get("") if isinstance(value, dict) and len(value) == 1 else value
    try:
        return torch.empty(0, device="cpu" if value is None else device).device
    except (AssertionError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"{name} {value!r}: expected one device, such as cpu ({reason})") from None
