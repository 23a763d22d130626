"""What spares memory where pictures are large."""
