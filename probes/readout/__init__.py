"""Probes of activations, their fitters, their scores, and the baselines that a score must exceed."""
