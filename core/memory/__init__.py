"""What a training step will take of a device's memory, before anything is loaded, and whether a card has that much."""
