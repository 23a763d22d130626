"""Resuming a killed run: what is finished, and what the next frames depend on."""
