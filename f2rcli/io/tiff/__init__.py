"""TIFF stacks: files, folders and patterns of pages."""
