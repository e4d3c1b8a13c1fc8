"""`goalmaze probe`: what probes predict from an agent's activations, by site, by channel or by checkpoint."""
