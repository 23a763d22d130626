"""Training of UDVD."""
