"""Agents: networks, training, checkpoints, scripted baselines, and the one rollout loop."""
