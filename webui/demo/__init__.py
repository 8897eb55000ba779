"""The bundled model: scenes drawn by program, the training that learns them, and the weights that came of it."""
