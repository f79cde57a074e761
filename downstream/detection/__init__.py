"""Mask R-CNN on COCO-style data."""
