"""The archive: who sent what, what came of it, where it lies."""
