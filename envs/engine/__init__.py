"""The compiled engine: the state of a batch of episodes, the rules of stepping it, and level generation."""
