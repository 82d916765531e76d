"""Every kind of trouble that data can have, in words: what it is called, why it matters, what its button does."""
