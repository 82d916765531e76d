"""Rows as conversations, tokens and batches for one processor."""
