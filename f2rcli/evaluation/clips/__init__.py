"""The clips of an evaluation: found, paired, read and compared frame by frame."""
