"""Noise that is made: what users may ask for, its laws, and codecs."""
