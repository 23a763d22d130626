"""Still pictures: folders, patterns and single files."""
