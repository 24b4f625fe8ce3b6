"""Fuzzing of the pure core: any bytes in, and what must hold of what comes out. `python -m fuzz` runs it for long."""
