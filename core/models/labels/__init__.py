"""What every module of a model is called: its component, its role, its layer, each by evidence and with the reason."""
