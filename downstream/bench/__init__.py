"""What `mimbench bench` measures of the evaluation: generated predictions, and who scores them."""
