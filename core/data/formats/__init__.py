"""How the forms in which people publish pictures with text are recognised and read as rows."""
