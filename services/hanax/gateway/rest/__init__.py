"""REST: each route parses, calls one service object, and renders. No rule lives here alone."""
