"""Libraries: documents as chunks, whose points are in a collection underneath."""
