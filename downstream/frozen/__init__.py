"""Backbones that are only read: their features, computed once for each view of an image."""
