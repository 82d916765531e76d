"""Levers: what makes the same training faster, each exact, each with its reason, each of them can be left off."""
