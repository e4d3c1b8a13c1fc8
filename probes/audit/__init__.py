"""Audits: from an agent's weights and training levels alone, which goal will it pursue where goal and cue differ?"""
