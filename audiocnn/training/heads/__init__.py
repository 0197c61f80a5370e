"""Classifier heads on the embeddings of a trained network: NumPy and SciPy, no PyTorch."""
