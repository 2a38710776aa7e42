"""Who may do what: callers, keys, tokens, limits, and the log of what they did."""
