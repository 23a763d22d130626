"""Training of FITVNet."""
