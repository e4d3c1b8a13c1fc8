"""Penalties that need probes: directions of an activation, one file each."""
