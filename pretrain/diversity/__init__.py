"""How different the tokens of a target are, measured before anything is trained on it.

A teacher of high token diversity is said to help a masked autoencoder (arXiv 2304.12535): here any
target is measured, on the tensor that a loss would see, and held against scores where there are
some.
"""
