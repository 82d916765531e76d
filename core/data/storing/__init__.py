"""Drafts of data on their way in, and stored sets under their hash."""
