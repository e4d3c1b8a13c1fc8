"""Produce, measure, read and retarget goal misgeneralization in maze agents."""
