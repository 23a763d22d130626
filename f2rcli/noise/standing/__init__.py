"""Offsets of rows and columns that are the same in every frame, or drift slowly."""
