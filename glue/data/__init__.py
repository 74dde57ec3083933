"""From names and files to tokenized rows."""
