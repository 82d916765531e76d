"""Data sets: read, check, turn into conversations and batches."""
