"""Work that is answered later."""
