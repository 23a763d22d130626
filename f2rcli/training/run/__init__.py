"""One training run: what was asked for, its folder, its stages, its report."""
