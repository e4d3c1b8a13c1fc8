"""Families, levels and Gymnasium environments. Importing it registers the families that ship with Gymnasium."""

from __future__ import annotations

from goalmaze.envs.shipped import register_shipped

register_shipped()
