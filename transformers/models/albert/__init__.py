"""ALBERT: configuration, model and tokenizer."""
