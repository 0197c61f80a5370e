"""Atomic writes, locks, safe names, tables and NumPy files."""
