"""The built-in demo: a tiny model and a miniature GLUE, made on the spot."""
