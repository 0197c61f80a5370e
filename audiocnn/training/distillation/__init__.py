"""Distillation: a streaming network learns what a larger, windowed one computes."""
