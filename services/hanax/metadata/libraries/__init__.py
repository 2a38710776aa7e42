"""Libraries, their documents, the registry of chunks, and the changes under way."""
