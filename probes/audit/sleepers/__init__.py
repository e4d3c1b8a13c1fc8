"""Audits for sleepers: agents that show one goal while a trigger says that they are observed."""
