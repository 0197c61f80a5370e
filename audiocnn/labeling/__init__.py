"""Recordings and clips: labelled, measured, verified; none at the cost of another."""
