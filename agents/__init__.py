"""Who acts: networks, learners, checkpoints, scripted agents, and the one rollout loop."""
