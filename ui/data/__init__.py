"""A person's own data on their way from the browser to a stored set, and what a model will read of them."""
