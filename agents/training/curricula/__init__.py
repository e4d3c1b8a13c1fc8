"""Curricula: which level each training episode plays, and which episodes are trained on."""
