"""Maze algorithms: from solid walls to a maze."""
