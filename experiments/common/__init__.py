"""Helpers that several commands share: tables, plots, folders, parallel work."""
