"""The `f2r` command."""
