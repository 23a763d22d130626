"""Stacks of a few photons a pixel: frames are summed before networks see them."""
