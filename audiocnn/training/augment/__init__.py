"""Data augmentation of samples and of mel power."""
