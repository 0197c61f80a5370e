"""Metrics with confidence intervals, calibration, threshold search, model diff, stream check."""
