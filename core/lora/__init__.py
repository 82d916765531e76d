"""Which modules learn, and what that costs."""
