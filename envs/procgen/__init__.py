"""The real Procgen maze: its states as data, its levels edited from Python, and its engine.

Procgen itself, an extra of goalmaze, is loaded when the first maze is made.
"""
