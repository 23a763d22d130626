"""Metrics of simulated scenes, whose truth is known. Each file has METRICS, and is their group."""
