"""How the model and the data sets in `assets/demo/` were made, reproducibly; nothing here runs in the app."""
