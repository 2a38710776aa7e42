"""Where points come from: files, and other databases."""
