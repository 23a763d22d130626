"""What spares memory or time where pictures are large."""
