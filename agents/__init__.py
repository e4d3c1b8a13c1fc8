"""Who acts: networks, training, checkpoints, scripted agents, and the one rollout loop."""
