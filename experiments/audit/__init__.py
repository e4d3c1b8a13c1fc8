"""`goalmaze audit`: from weights and training levels alone, what will an agent pursue where goal and cue differ?"""
