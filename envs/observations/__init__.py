"""Observations: the specification, the view of each mode, and the rasteriser behind them."""
