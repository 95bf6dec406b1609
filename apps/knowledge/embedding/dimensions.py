"""Apart from the model, because the tables need it and must not load the model."""

DIMENSIONS = 384
