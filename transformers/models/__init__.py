"""The models, one folder each, and the classes that choose among them (`auto`)."""
