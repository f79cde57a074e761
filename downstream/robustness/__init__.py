"""How well a trained model does on corrupted pictures."""
