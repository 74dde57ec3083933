"""Making batches: collators."""

from .data_collator import DataCollatorWithPadding, default_data_collator

__all__ = ["DataCollatorWithPadding", "default_data_collator"]
