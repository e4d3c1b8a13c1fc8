"""`goalmaze explain`: what channels stand for, what drove a decision, and how far explanations can be trusted."""
