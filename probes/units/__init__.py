"""What the channels of a network stand for: a library of executable features, formulas over it, and their search."""
