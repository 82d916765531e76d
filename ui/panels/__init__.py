"""One file a panel: what Gradio draws of it, and the events inside of it."""
