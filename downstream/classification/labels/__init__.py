"""Scores against the number of labels, from features that are computed once."""
