"""Microscopes' own formats."""
