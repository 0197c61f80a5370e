"""The dataset doctor: faults of a dataset, found before training."""
