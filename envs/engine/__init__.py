"""Compiled code of our own mazes: the state of a batch of episodes, its rules, and level generation."""
