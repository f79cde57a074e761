"""A tracker over a whole set: tracks kept as they are found, several processes at a time."""
