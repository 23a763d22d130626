"""What FFmpeg's libraries offer and how they are asked: encoders, pixel formats, colours."""
