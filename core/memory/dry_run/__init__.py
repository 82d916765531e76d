"""One training step of the real class, run without data: its batch, its layers, the bytes that are alive meanwhile."""
