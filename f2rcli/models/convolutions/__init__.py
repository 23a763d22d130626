"""Convolutions on a processor, by oneDNN's operators."""
