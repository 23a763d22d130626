"""Training of Blind2Sound."""
