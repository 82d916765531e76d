"""What a model answers on held-out rows, and how good that is."""
