"""`goalmaze train`: train an agent and report how it behaves."""
