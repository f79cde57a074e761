"""Heads that show what frozen features hold: one linear layer, or the nearest known patches."""
