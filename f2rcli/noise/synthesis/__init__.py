"""Noise that is made: what users may ask for, laws, cameras, sensors and codecs."""
