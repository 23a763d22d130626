"""Training of F2R."""
