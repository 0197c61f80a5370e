"""Labelled clips: layouts, groups, reviews."""
