"""ELECTRA: configuration, model and tokenizer."""
