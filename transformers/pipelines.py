"""From a text to a label and its score; mirrors Hugging Face's `pipeline("text-classification")`, the only one here.

What comes back has the stock library's form, whatever one thinks of it: a text alone gives a list of one.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from .configuration_utils import PretrainedConfig
from .modeling_text import TextClassifier
from .modeling_utils import PreTrainedModel, one_device
from .models.auto.modeling_auto import AutoModelForSequenceClassification
from .models.auto.tokenization_auto import AutoTokenizer
from .tokenization_utils_base import PreTrainedTokenizerBase
from .utils.checks import check_count, drop_without_effect
from .utils.errors import ConfigurationError
from .utils.hub import HUB_ARGUMENTS

_TASKS = ("text-classification", "sentiment-analysis")
_FUNCTIONS = ("none", "sigmoid", "softmax")
_BATCH_SIZE = 32
_NOT_GIVEN: Any = ""  # of top_k, where None means all


def pipeline(
    task: str | None = None,
    model: str | os.PathLike[str] | PreTrainedModel | None = None,
    config: PretrainedConfig | str | None = None,
    tokenizer: str | os.PathLike[str] | PreTrainedTokenizerBase | None = None,
    *,
    revision: str | None = None,
    use_fast: bool = True,
    token: str | bool | None = None,
    device: int | str | torch.device | None = None,
    device_map: Any = None,
    dtype: torch.dtype | str | None = "auto",
    torch_dtype: torch.dtype | str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> TextClassificationPipeline:
    """Load a classifier and its tokenizer, and return what takes texts.

    Args:
        task: "text-classification" (default), or "sentiment-analysis", which is the same.
        model: a folder, a Hub id, or a model.
        config, revision, token, device_map, dtype, torch_dtype, model_kwargs: see `PreTrainedModel.from_pretrained`.
        tokenizer: a folder, a Hub id, or a tokenizer; default the model's.
        use_fast: without effect.
        device: where to compute: a device, its name, or the number of a GPU, of which -1 is the CPU; default where the
            model is.
        **kwargs: as for `TextClassificationPipeline`, and arguments of the stock library that make no difference here.

    Raises:
        CheckpointError: model or tokenizer cannot be found or read.
        ConfigurationError: it is another task, or an argument is wrong.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
        >>> config = BertConfig(vocab_size=5, hidden_size=4, num_hidden_layers=1, num_attention_heads=2,
        ...                     intermediate_size=8, id2label={0: "bad", 1: "good"})
        >>> classify = pipeline(model=BertForSequenceClassification(config), tokenizer=BertTokenizerFast())
        >>> [sorted(result) for result in classify(["a text", "another one"])]
        [['label', 'score'], ['label', 'score']]
    """
    if task not in (None, *_TASKS):
        raise ConfigurationError(f"task {task!r}: this lean library has {_TASKS[0]} only")
    if model is None:
        raise ConfigurationError("no model: give model, a folder or a Hub id")
    drop_without_effect(kwargs)
    where: dict[str, Any] = {"revision": revision, "token": token}
    where |= {name: kwargs.pop(name) for name in HUB_ARGUMENTS if name in kwargs}
    where = {name: value for name, value in where.items() if value is not None}
    if tokenizer is None:
        tokenizer = model.name_or_path if isinstance(model, PreTrainedModel) else model
    loaded: Any = model
    if not isinstance(model, PreTrainedModel):
        settings = {"device_map": device_map, "dtype": torch_dtype or dtype, **where, **(model_kwargs or {})}
        loaded = AutoModelForSequenceClassification.from_pretrained(model, config=config, **settings)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        tokenizer = AutoTokenizer.from_pretrained(tokenizer, **where)
    return TextClassificationPipeline(loaded, tokenizer, device=device, **kwargs)


class TextClassificationPipeline:
    """Takes texts, and gives their labels with scores.

    Args:
        model: a classifier; it is put into evaluation mode.
        tokenizer: turns texts into ids.
        device: see `pipeline`.
        batch_size: texts that are computed at a time; default 32. It changes no score.
        top_k: how many labels a text gets, the likeliest first; None for all. Left out it is one, not in a list.
        function_to_apply: what makes scores of logits: "softmax", "sigmoid" or "none"; default none for a regression,
            the sigmoid for one label or several at once, else softmax.
        **kwargs: arguments of the tokenizer's call, such as `truncation` and `max_length`. All from `batch_size` on may
            be given with the texts as well.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    task = _TASKS[0]

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        device: int | str | torch.device | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(model, TextClassifier):
            raise ConfigurationError(f"{type(model).__name__} is no classifier of texts: give one for {_TASKS[0]}")
        self.model = model.eval()
        self.tokenizer = tokenizer
        if device is not None:
            self.model.to(one_device("device", "cpu" if device == -1 else device))
        self.device = model.device
        self._settings = kwargs
        self._check(kwargs)

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Classify.

        Args:
            inputs: a text; a dictionary with "text" and "text_pair" for a pair; a list of these; or anything else that
                yields them, whose results are computed as they are asked for.
            **kwargs: see the class.

        Returns:
            For one of a list {"label": str, "score": float}, or a list of such where `top_k` was given; a text alone
            without `top_k` in this call gives that in a list.

        Raises:
            ConfigurationError: an argument is wrong.
            ValueError: an input is neither a text nor a dictionary of one, or longer than the model can take.
        """
        self._check(kwargs)
        results = self._results(iter([inputs] if isinstance(inputs, (str, Mapping)) else inputs), kwargs)
        if isinstance(inputs, list):
            return list(results)
        if not isinstance(inputs, (str, Mapping)):
            return results
        result = next(results)
        return [result] if isinstance(inputs, str) and "top_k" not in kwargs else result

    def _check(self, given: Mapping[str, Any]) -> None:
        known = {"batch_size", "top_k", "function_to_apply", *inspect.signature(self.tokenizer.__call__).parameters}
        for name in given.keys() - known - {"text", "text_pair", "return_tensors"}:
            raise ConfigurationError(f"{name!r} is neither an argument here nor one of the tokenizer's")
        for name in ("batch_size", "top_k"):
            if given.get(name) is not None:
                check_count(name, given[name])
        function = given.get("function_to_apply")
        if function is not None and str(function).lower() not in _FUNCTIONS:
            raise ConfigurationError(f"function_to_apply {function!r}: expected one of {', '.join(_FUNCTIONS)}")

    def _results(self, rows: Iterator[Any], given: Mapping[str, Any]) -> Iterator[Any]:
        options = {"padding": True, **self._settings, **given}
        size = options.pop("batch_size", None) or _BATCH_SIZE
        top_k, function = options.pop("top_k", _NOT_GIVEN), options.pop("function_to_apply", None)
        while batch := list(islice(rows, size)):
            for scores in self._scores([_texts_of(row) for row in batch], function, options).tolist():
                labelled = [
                    {"label": self.model.config.id2label[index], "score": score} for index, score in enumerate(scores)
                ]
                ranked = sorted(labelled, key=lambda one: -one["score"])
                yield ranked[0] if top_k == _NOT_GIVEN else ranked[:top_k]

    def _scores(self, rows: list[tuple[str, ...]], function: str | None, options: Mapping[str, Any]) -> Tensor:
        """Return the scores of some texts and pairs, on the CPU: (B, num_labels)."""
        encoded = self.tokenizer([row if len(row) > 1 else row[0] for row in rows], return_tensors="pt", **options)
        with torch.inference_mode():
            logits = self.model(**encoded.to(self.device)).logits.float().cpu()
        config = self.model.config
        if function is None and config.problem_type == "regression":
            function = "none"
        elif function is None:
            is_alone = config.problem_type == "multi_label_classification" or config.num_labels == 1
            function = "sigmoid" if is_alone else "softmax"
        functions = {"none": lambda x: x, "sigmoid": torch.sigmoid, "softmax": lambda x: x.softmax(dim=-1)}
        return functions[str(function).lower()](logits)


def _texts_of(row: Any) -> tuple[str, ...]:
    """Return the one text or the two that an input is."""
    if isinstance(row, Mapping) and set(row) <= {"text", "text_pair"} and "text" in row:
        row = (row["text"], row["text_pair"]) if row.get("text_pair") is not None else (row["text"],)
    else:
        row = (row,)
    if not all(isinstance(text, str) for text in row):
        raise ValueError('expected a text, or {"text": ..., "text_pair": ...} for a pair')
    return row
