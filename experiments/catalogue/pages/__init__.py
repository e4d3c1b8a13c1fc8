"""The catalogue pages of the documentation, generated from docstrings, registries and the manifest of the zoo."""
