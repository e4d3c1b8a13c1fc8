"""Scores: how much a level is worth replaying after an episode on it. A new score is one new file here."""
