"""Noise: what is assumed about it, how it is measured from two blind anchors, how it is drawn."""
