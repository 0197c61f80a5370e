"""Each file format for events: how it is written, and how it is read."""
