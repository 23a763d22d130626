"""One training run: its configuration, folder, stages and report."""
