"""Jobs and the metadata database."""
