"""Footage to learn from: found, decoded, cached, split, noised and cut."""
