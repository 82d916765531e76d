"""The studio without its page."""

from core.cli.commands import main

__all__ = ["main"]
