"""Many recordings: labelled one by one, none at the cost of another."""
