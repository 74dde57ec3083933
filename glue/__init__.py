"""Everything of the GLUE fine-tuning application that is not the training loop itself, one concept a file."""
