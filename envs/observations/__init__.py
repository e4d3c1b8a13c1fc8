"""What agents see: observation modes and the rasteriser behind the picture modes."""
