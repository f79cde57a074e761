"""Building blocks of the backbones, one concept a file."""
