"""A lean library with Hugging Face's names: encoders with ContraNorm, their checkpoints and tokenizers.

Importing it loads nothing heavy; every public name is loaded from its module when it is first asked for.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from .backbones import BACKBONES, HEADS

__version__ = "0.1.0+contranorm"

_NAMES_OF_MODULES = {
    "configuration_utils": ("PreTrainedConfig", "PretrainedConfig"),
    "contranorm": ("ContraNorm", "ContraNormV2"),
    "data": (
        *("DataCollatorForLanguageModeling", "DataCollatorWithPadding", "DefaultDataCollator"),
        "default_data_collator",
    ),
    "modeling_outputs": (
        *("BaseModelOutput", "BaseModelOutputWithPooling", "ModelOutput", "SequenceClassifierOutput"),
        *("MaskedLMOutput", "TokenClassifierOutput", "QuestionAnsweringModelOutput"),
    ),
    "modeling_utils": ("PreTrainedModel",),
    "models.auto.configuration_auto": ("AutoConfig",),
    "models.auto.modeling_auto": ("AutoModel", *(f"AutoModel{head}" for head in HEADS)),
    "models.auto.tokenization_auto": ("AutoTokenizer",),
    "optimization": (
        "get_constant_schedule",
        "get_constant_schedule_with_warmup",
        "get_cosine_schedule_with_warmup",
        "get_cosine_with_hard_restarts_schedule_with_warmup",
        "get_inverse_sqrt_schedule",
        "get_linear_schedule_with_warmup",
        "get_polynomial_decay_schedule_with_warmup",
        "get_scheduler",
        "get_wsd_schedule",
    ),
    "pipelines": ("TextClassificationPipeline", "pipeline"),
    "tokenization_utils_base": ("AddedToken", "BatchEncoding", "PreTrainedTokenizerBase"),
    "tokenization_utils_fast": ("PreTrainedTokenizer", "PreTrainedTokenizerFast"),
    "trainer_utils": ("SchedulerType", "set_seed"),
    "utils": ("CheckpointError", "ConfigurationError", "is_torch_available", "logging"),
}
for _backbone in BACKBONES.values():
    _NAMES_OF_MODULES |= _backbone.public_names
_MODULE_OF_NAME = {name: module for module, names in _NAMES_OF_MODULES.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF_NAME)]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name in _MODULE_OF_NAME:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF_NAME[name]}"), name)
        globals()[name] = value
        return value
    # `from transformers import x` asks for the attribute before it tries the module of that name, and would bury this
    # message under one of its own if it were an AttributeError; hasattr and getattr expect exactly that error.
    asked_by_import = sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap"
    if asked_by_import and not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is None:
        raise ImportError(_not_here(name), name=__name__, path=__file__)
    raise AttributeError(_not_here(name), name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _not_here(name: str) -> str:
    import difflib  # nothing that a program without a mistake in it needs

    close = difflib.get_close_matches(name, _MODULE_OF_NAME, n=3, cutoff=0.5)
    hint = f" Closest: {', '.join(close)}." if close else ""
    return (
        f"{name!r} is not in this lean `transformers` library ({__file__}), which stands in for the one from PyPI."
        f"{hint} It has: {', '.join(sorted(_MODULE_OF_NAME))}"
    )
