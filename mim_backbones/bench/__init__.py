"""Measurements behind `mimbench bench`: functions that return rows, and print nothing."""
