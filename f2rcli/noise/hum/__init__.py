"""Hum and broad bands: offsets of rows that vary slowly down a frame, and anew in every frame."""
