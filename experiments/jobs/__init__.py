"""Training runs as jobs: executed on processes or a cluster, continued after a crash, and evaluated at their end."""
