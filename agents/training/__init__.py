"""Training: recipe, PPO, rollout buffer, stable-baselines3 environment and policy, run folders and resuming."""
