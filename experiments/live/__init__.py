"""Watching an agent act."""
