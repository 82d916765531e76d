"""What a model will get of rows: tokens, pictures, lengths."""
