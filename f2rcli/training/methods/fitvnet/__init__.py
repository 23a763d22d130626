"""How FITVNet is trained."""
