"""RoBERTa: configuration, model and tokenizer."""
