"""A source of a model, and what it is made of."""
