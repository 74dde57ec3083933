"""ContraNormV2 as a method: `ContraNorm` across features instead of tokens."""

from __future__ import annotations

from typing import Any

from .contranorm import ContraNorm


class ContraNormV2(ContraNorm):
    """Push the features of a sequence apart; knobs as for `ContraNorm`. The formula is `contranorm.ContraNormV2`.

    Source: `ContraNormV2` of the released BERT code (`--use_v2`).
    """

    name = "contranorm_v2"

    def layer_class(self) -> Any:
        from contranorm import ContraNormV2

        return ContraNormV2
