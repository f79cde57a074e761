"""What a protocol costs before anything is run: parameters, multiply-adds, GPU-hours."""
