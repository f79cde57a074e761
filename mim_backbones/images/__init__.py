"""Image files opened, and pixels normalised: what pre-training and every task share."""
