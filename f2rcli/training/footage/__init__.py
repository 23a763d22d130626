"""Training footage: finding, decoding, caching, splitting, noising and cropping clips."""
