"""Measure denoisers: against a clean clip, with synthetic noise, or without a reference."""
