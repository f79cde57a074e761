"""Image -> discrete tokens: what BEiT's kind of pre-training predicts."""
