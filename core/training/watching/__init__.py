"""Watching a job learn: norms, the flow of gradients, the machine, the pace, its health, and the best look."""
