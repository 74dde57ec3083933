"""DistilBERT: configuration, model and tokenizer."""
