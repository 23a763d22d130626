"""Camera raw: files, bursts, and mosaics in TIFF files."""
