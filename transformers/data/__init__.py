"""Making batches: collators."""

from .data_collator import DataCollatorWithPadding, DefaultDataCollator, default_data_collator

__all__ = ["DataCollatorWithPadding", "DefaultDataCollator", "default_data_collator"]
