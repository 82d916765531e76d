"""The page: wiring and rendering only; no torch, and no files but those that core names."""
