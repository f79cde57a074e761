"""One-stream tracking on LaSOT-style data."""
