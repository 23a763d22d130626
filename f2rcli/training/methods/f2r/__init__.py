"""How F2R is trained."""
