"""Apart from the model, which takes a second to load."""

# What the model that comes along gives for a text.
DIMENSIONS = 384
