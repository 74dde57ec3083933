"""BERT: configuration, model and tokenizer."""
