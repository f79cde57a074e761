"""What a training step is: how many images, drawn how, run through the model in which parts."""
