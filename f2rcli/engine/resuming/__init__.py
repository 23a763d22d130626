"""Runs that go on where a killed one was: what is finished, and what the next frames depend on."""
