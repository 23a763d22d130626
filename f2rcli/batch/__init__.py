"""Many clips: what they are, where they go, what is done already, and one process for each."""
