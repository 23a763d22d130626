"""How UDVD is trained."""
