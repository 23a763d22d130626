"""Training recipes: a file per method, found by name, with its RECIPE."""
