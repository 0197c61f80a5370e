"""Networks that others trained: described, fetched, converted into bundles."""
