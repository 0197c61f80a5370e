"""Training data: caches, splits and batches."""
