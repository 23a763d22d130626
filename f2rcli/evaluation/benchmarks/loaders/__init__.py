"""Readers of data sets' layouts: `cases(benchmark, root, frames)` gives a root's clips."""
