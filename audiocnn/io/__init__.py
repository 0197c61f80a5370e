"""Reading recordings and writing files."""
