"""Reading activations: probes, their fitters, and the baselines that a reading must beat."""
