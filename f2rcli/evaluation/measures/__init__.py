"""What metrics and reports measure with."""
