"""Savings of memory and time for large pictures."""
