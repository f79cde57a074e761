"""Trackers in a folder of their own: two graphs that any runtime runs, and the frames around."""
