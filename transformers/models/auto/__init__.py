"""Classes that read a checkpoint's model type and hand over to the right model."""

from .. import names_of

__getattr__ = names_of(__name__)
