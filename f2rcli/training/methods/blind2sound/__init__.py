"""How Blind2Sound is trained."""
