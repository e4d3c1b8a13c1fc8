"""The audit methods, one file each; see `goalmaze.probes.audit.registry` for how they are found by name."""
