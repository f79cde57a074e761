"""Recipes of this package: its protocols, and its pre-training."""
