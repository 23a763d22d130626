"""Training: footage to learn from, a loop for every method's stages, exams, and `--adapt`."""
