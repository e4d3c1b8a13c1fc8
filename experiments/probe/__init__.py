"""`goalmaze probe`: what can be read by site, by channel and by checkpoint."""
