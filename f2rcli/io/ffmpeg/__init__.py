"""FFmpeg's libraries through PyAV: encoders, pixel formats, colour, filters and metadata."""
