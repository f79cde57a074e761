"""Frozen networks whose patch features others learn to predict."""
