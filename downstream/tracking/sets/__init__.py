"""What trackers are trained on: a reader for each data set, and an index of what it read."""
