"""Edits of activations: base classes, the kinds that several methods share, and how they are applied to a policy."""
