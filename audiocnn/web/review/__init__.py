"""Judging events one by one or in groups: of a labelling run, a review list or a station."""
