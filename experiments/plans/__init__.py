"""`goalmaze plans`: whether an agent plans: its plans read, changed and refined by thinking."""
