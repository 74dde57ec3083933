"""Where ContraNorm can stand in a transformer layer, and how the released code numbers the places.

All models have the same eight sites; RoBERTa, ELECTRA and DistilBERT go by BERT's numbers. One layer, read from top to
bottom (D is dropout, + the residual sum; ALBERT has no dropout after its feed-forward network, DistilBERT none after
attention):

    hidden_states
         |
    [layer_input]                 BERT 1   ALBERT 1     the residual below takes the result as well
         |----------.
    self-attention  |
         |          |
      [context]     |             BERT 2   ALBERT 2     heads merged, before the output dense
         |          |
      dense, D      |
         |          |
    [attention_output]            BERT 3   ALBERT 3
         |          |
         +----------'
         |
    [attention_residual]          BERT 7   ALBERT 4     the paper's setting for BERT
         |
     LayerNorm
         |
    [attention_norm]              BERT 4   ALBERT 5
         |----------.
    dense, act,     |
    dense, D        |
         |          |
    [ffn_output]    |             BERT 5   ALBERT 6
         |          |
         +----------'
         |
    [ffn_residual]                BERT 8   ALBERT 7
         |
     LayerNorm
         |
    [layer_output]                BERT 6   ALBERT 8
         |
    hidden_states of the next layer

This module knows names and numbers only and imports no torch: the command line checks `--pos` with it before anything
heavy is loaded. The layer itself is in `contranorm.py`.
"""

from __future__ import annotations

from .backbones import backbone_of
from .utils.errors import ConfigurationError

_DESCRIPTIONS = {
    "layer_input": "before self-attention; the residual also takes the result",
    "context": "attention context, heads merged, before the output dense",
    "attention_output": "after the output dense and dropout, before the residual",
    "attention_residual": "residual sum, before the attention LayerNorm",
    "attention_norm": "after the attention LayerNorm",
    "ffn_output": "feed-forward output, before the residual",
    "ffn_residual": "residual sum, before the final LayerNorm",
    "layer_output": "after the final LayerNorm",
}
SITES = tuple(_DESCRIPTIONS)


def parse_positions(pos: str | int | None, model_type: str) -> tuple[str, ...]:
    """Translate a position setting into the sites that it switches on, in every layer.

    Args:
        pos: digits of the model's numbering, combined freely ("17" is 1 and 7; repeats do not matter). None, 0, "0" and
            "none" mean no site.
        model_type: a key of `backbones.BACKBONES`.

    Returns:
        Names out of `SITES`, in their order; empty when ContraNorm is off.

    Raises:
        ConfigurationError: `pos` is anything else, or the model has no numbering; the message holds the table in one
            line.

    Example:
        >>> parse_positions("71", "bert")
        ('layer_input', 'attention_residual')
        >>> parse_positions("none", "albert")
        ()
    """
    if pos is None:
        return ()
    numbers = site_numbers(model_type)
    text = str(pos).strip().lower() if isinstance(pos, (str, int)) and not isinstance(pos, bool) else ""
    if text in ("0", "none"):
        return ()
    if not text or not set(text) <= {*numbers.values()}:
        table = ", ".join(f"{number} {site}" for site, number in numbers.items())
        raise ConfigurationError(
            f"pos {pos!r} is not a ContraNorm position of {model_type}: expected 0 or none for the plain model, or "
            f"digits out of this table, combined freely as in 17: {table}"
        )
    return tuple(site for site, number in numbers.items() if number in text)


def site_numbers(model_type: str) -> dict[str, str]:
    """Return the digit of every site in the numbering of a model.

    Raises:
        ConfigurationError: its record has no digit for a site, or one for two.

    Example:
        >>> site_numbers("albert")["attention_residual"]
        '4'
    """
    numbers = backbone_of(model_type).site_numbers
    if len(numbers) < len(SITES):
        raise ConfigurationError(
            f"{model_type}: site_numbers {numbers!r} has no digit for the site {SITES[len(numbers)]}: add it to the "
            "record in backbones.py"
        )
    if len(set(numbers)) != len(SITES) or len(numbers) > len(SITES):
        raise ConfigurationError(
            f"{model_type}: site_numbers {numbers!r}: expected {len(SITES)} different digits, one a site"
        )
    return dict(zip(SITES, numbers, strict=True))


def positions_table(model_type: str) -> str:
    """Return the positions of `model_type` as lines of text, one a site, in the order of the layer."""
    rows = site_numbers(model_type).items()
    lines = [f"  {number}  {site:<19} {_DESCRIPTIONS[site]}" for site, number in rows]
    return "\n".join([f"Positions of {model_type}, from the top of a layer to its bottom:", *lines])
