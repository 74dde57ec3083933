"""Classes that read a checkpoint's model type and hand over to the right model."""
