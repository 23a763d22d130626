"""The training loop, the same for every stage of every method."""
