"""The demo: index real text, ask questions about it by meaning."""
