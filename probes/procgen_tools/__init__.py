"""The tools of procgen-tools (Mini et al., 2023): vector fields, goal vectors, pixel clamps, path probabilities."""
