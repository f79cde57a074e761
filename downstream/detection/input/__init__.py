"""Training pictures of a COCO layout: decoded, jittered in scale, cropped, with their objects."""
