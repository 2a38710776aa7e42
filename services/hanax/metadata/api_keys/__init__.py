"""API keys: who may ask what, and until when."""
