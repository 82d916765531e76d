"""How the forms in which people publish pictures with text are read; used by `core.data.records` and `recognition`."""
