"""Pictures of an evaluation: for its report, and to watch."""
