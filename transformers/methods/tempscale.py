"""TempScale: sharper attention, by a temperature below 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .base import ScoreChange, knob


class TempScale(ScoreChange):
    """softmax(q k^T / (sqrt(K) temperature)): below 1 each token attends to fewer others, so that fewer are mixed.

    Source: a paper of this name in the Findings of ACL 2025; neither its formula nor its values could be checked, and
    the default is ours.

    Example:
        >>> TempScale(attention_temperature=0.5).temperature(), TempScale(attention_temperature=1).is_neutral
        (0.5, True)
    """

    name = "tempscale"
    neutral: ClassVar[Mapping[str, Any]] = {"attention_temperature": 1.0}

    attention_temperature: float = knob(0.8, "what attention's scores are divided by; 1 is the plain model", above=0)

    def temperature(self) -> float:
        return self.attention_temperature
