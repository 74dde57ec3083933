"""ContraNormV2 as a method: `ContraNorm` across features instead of tokens."""

from __future__ import annotations

from .contranorm import ContraNorm


class ContraNormV2(ContraNorm):
    """Push the features of a sequence apart; knobs as for `ContraNorm`. The formula is `contranorm.ContraNormV2`.

    Source: `ContraNormV2` of the released BERT code (`--use_v2`).
    """

    name = "contranorm_v2"
    formula = "ContraNormV2"
