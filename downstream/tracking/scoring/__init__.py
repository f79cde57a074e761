"""Tracks against truth by the rules of the evaluators in use: frames, then curves, then scores."""
