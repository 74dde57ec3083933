"""The data of a run as tables: own files, a GLUE folder, the Hub or the demo, in this order."""

from __future__ import annotations

from .encoding import EncodedDataset, encode
from .table import Table

__all__ = ["EncodedDataset", "Table", "encode"]
