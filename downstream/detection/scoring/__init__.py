"""Detections against ground truth by COCO's rules: overlaps, then matches, then precision."""
