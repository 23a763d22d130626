"""The noise of a stream: measured on its first frames, followed, and lines taken out first."""
