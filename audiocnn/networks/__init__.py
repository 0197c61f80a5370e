"""Streaming convolutional networks in PyTorch, and their export."""
