"""Populations as one program: many agents of one recipe whose networks are trained as one stacked network."""
