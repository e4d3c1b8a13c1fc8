"""Writing activations: the edits, and how they are attached to a policy."""
