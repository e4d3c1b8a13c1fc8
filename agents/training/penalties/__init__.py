"""Penalties: readings of a network that a training run adds to its loss or takes from its reward, one file each."""
