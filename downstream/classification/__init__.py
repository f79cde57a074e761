"""Image classification: fine-tuned, or read off a frozen backbone."""
