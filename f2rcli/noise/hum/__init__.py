"""Hum and broad bands: row offsets that vary slowly down a frame, and are new in every frame."""
