"""What frozen features tell with nothing learnt: diversity of tokens, classes of neighbours."""
