"""What a method against oversmoothing is: a class that says where it may stand, what its knobs are, and its formula.

There are three kinds, by what they change. After its first argument everything is given by keyword:

    TokenMap     method(tokens, *, layout)                                  at any of the eight sites
    ContextMap   method(context, *, value, hidden_states, layout, attend, first_value)         at `context`
    ScoreChange  method.temperature()                                       what attention's scores are divided by

`tokens` and `context` are packed (T, D) or padded (B, S, D); `layout` (a `TokenLayout`, see `padding.py`) says which
tokens form a sequence: `layout.mean(tokens)`, `layout.map_sequences(function, tokens)`.

Nothing here imports torch, so that the command line can list methods and knobs before anything heavy is loaded; a
formula needs no more than the tensors that it is given. Learned parameters are named in `start` and `shapes`, and given
to the formula by keyword.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from ..contranorm_sites import SITES
from ..utils.checks import check_number, check_switch
from ..utils.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor

    from ..padding import TokenLayout


def knob(
    default: Any,
    help: str,
    *,
    above: float | None = None,
    at_most: float | None = None,
    choices: tuple[str, ...] | None = None,
    per_layer: bool = False,
) -> Any:
    """Return a field of a method that is also a setting of the model's configuration and a flag of the command line.

    The kind of value is that of the default: a number, true or false, or one of `choices`. A default of None means true
    or false, left to the backbone.

    Args:
        default: the paper's value, which a run takes where nothing else is said.
        help: what `--help` says.
        above: every value has to be larger.
        at_most: every value has to be of this size or smaller, whatever its sign.
        choices: the words that are allowed.
        per_layer: whether it may be a number for each layer, with commas between them.
    """
    bounds = {"help": help, "above": above, "at_most": at_most, "choices": choices, "per_layer": per_layer}
    return field(default=default, metadata=bounds)


def check_knob(item: Field[Any], value: Any) -> Any:
    """Return a knob's value in its own type; of several numbers, one a layer, the text with commas between them.

    A text is one value to whoever stores, prints, compares or sweeps it. Numbers that are all the same are that one.

    Raises:
        ConfigurationError: it is none of those that the knob may have.
    """
    name, default, bounds = item.name, item.default, item.metadata
    if bounds["choices"] is not None:
        if value not in bounds["choices"]:
            raise ConfigurationError(f"{name} {value!r}: expected {' or '.join(bounds['choices'])}")
        return value
    if default is None or isinstance(default, bool):
        return value if value is None and default is None else check_switch(name, value)
    if bounds["per_layer"] and (isinstance(value, (list, tuple)) or (isinstance(value, str) and "," in value)):
        numbers = [check_knob(item, number) for number in _numbers(name, value)]
        return numbers[0] if len({*numbers}) == 1 else ",".join(map(repr, numbers))
    number = check_number(name, value)
    if bounds["above"] is not None and number <= bounds["above"]:
        raise ConfigurationError(f"{name} {number:g}: expected more than {bounds['above']:g}")
    if bounds["at_most"] is not None and abs(number) > bounds["at_most"]:
        raise ConfigurationError(f"{name} {number:g}: expected {bounds['at_most']:g} at most")
    return number


def of_each_layer(value: Any) -> list[Any] | None:
    """Return the numbers of a knob's value that has one a layer; None where it holds for all."""
    return [float(number) for number in value.split(",")] if isinstance(value, str) and "," in value else None


def _numbers(name: str, value: str | list[Any] | tuple[Any, ...]) -> list[Any]:
    try:
        numbers = [float(number) for number in value.split(",")] if isinstance(value, str) else list(value)
    except ValueError:
        numbers = []
    if not numbers:
        raise ConfigurationError(f"{name} {value!r}: expected a number, or one a layer with commas between them")
    return numbers


@dataclass(frozen=True, kw_only=True)
class Method:
    """Base of all methods: a subclass is a dataclass whose fields are its knobs, made by `knob`.

    Attributes:
        name: what `--method` calls it.
        sites: where it may stand, out of `contranorm_sites.SITES`.
        pos: default of `--pos`, in the numbering of the model.
        neutral: values of knobs at which it is the plain layer; empty if it has none, so that only `--pos none` is.
        start: its learned parameters by name, and the value that each begins with; `shapes` says how large they are.
    """

    name: ClassVar[str]
    sites: ClassVar[tuple[str, ...]] = SITES
    pos: ClassVar[str] = "7"
    neutral: ClassVar[Mapping[str, Any]] = {}
    start: ClassVar[Mapping[str, float]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclass(frozen=True, kw_only=True)(cls)

    @classmethod
    def of_config(cls, config: Any) -> Method:
        """Return the method with the knobs of a configuration."""
        return cls(**{item.name: getattr(config, item.name) for item in fields(cls)})

    @classmethod
    def defaults(cls, model_type: str) -> dict[str, Any]:
        """Return what the position and the knobs are in a run that says nothing about them.

        Args:
            model_type: the kind of model that it stands in.
        """
        return {"pos": cls.pos, **{item.name: item.default for item in fields(cls)}}

    @property
    def is_neutral(self) -> bool:
        """Whether its knobs make it the plain layer."""
        return bool(self.neutral) and all(getattr(self, name) == value for name, value in self.neutral.items())

    def build(self, config: Any) -> Callable[..., Tensor]:
        """Return what is called in a layer: the method itself, or a module that holds its parameters.

        Args:
            config: that of the model.
        """
        if not self.start:
            return self  # type: ignore[return-value]
        from ..contranorm import LearnedMethod

        return LearnedMethod(self, self.start, self.shapes(config))  # type: ignore[arg-type]

    def shapes(self, config: Any) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of the parameters named in `start`, which the formula is given by keyword.

        Args:
            config: that of the model.
        """
        return {}


class TokenMap(Method):
    """A method that maps the tokens of a sequence, at any site."""

    def __call__(self, tokens: Tensor, *, layout: TokenLayout) -> Tensor:
        """Return the tokens in the shape that they came in."""
        raise NotImplementedError


class ContextMap(Method):
    """A method that maps attention's result, and may look at what attention looked at.

    Attributes:
        attends_again: whether it is given `attend`, for which attention has to keep its probabilities.
    """

    sites = ("context",)
    pos = "2"
    attends_again: ClassVar[bool] = True

    def shapes(self, config: Any) -> dict[str, tuple[int, ...]]:
        """One number a head, see `by_head`; a method that learns anything else says so."""
        return dict.fromkeys(self.start, (config.num_attention_heads, 1))

    def __call__(
        self,
        context: Tensor,
        *,
        value: Tensor,
        hidden_states: Tensor,
        layout: TokenLayout,
        attend: Callable[[Tensor], Tensor],
        first_value: Tensor,
    ) -> Tensor:
        """Return the context in the shape that it came in.

        Args:
            context: attention's result, heads side by side.
            value: attention's values, which the context is a mean of.
            hidden_states: attention's input.
            layout: which tokens form a sequence.
            attend: applies this attention, with its very probabilities (those dropped included), to other values.
            first_value: the values of the model's first layer.
        """
        raise NotImplementedError


class ScoreChange(Method):
    """A method that changes attention's scores by a temperature."""

    sites = ("context",)
    pos = "2"

    def __call__(self, context: Tensor, **_: Any) -> Tensor:
        """Leave attention's result as it is: what changes is how attention comes to it."""
        return context

    def temperature(self) -> float:
        """What the scores are divided by, besides the square root of a head's width."""
        raise NotImplementedError


def by_head(tokens: Tensor, weights: Tensor) -> Tensor:
    """Multiply each head's part of tokens (..., D) by its own weight, (H, 1)."""
    return (tokens.unflatten(-1, (len(weights), -1)) * weights).flatten(-2)
