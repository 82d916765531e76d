"""What the page has worked out from a choice while a person clicks: advice, exports, memory, pace."""
