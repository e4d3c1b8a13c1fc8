"""`goalmaze demo`: the whole story on one agent."""
