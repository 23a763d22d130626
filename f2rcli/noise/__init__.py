"""Noise: what is assumed about it, how it is measured, how it is drawn."""
