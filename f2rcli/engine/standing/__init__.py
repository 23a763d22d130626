"""Offsets of rows and columns that stay, taken out of frames."""
