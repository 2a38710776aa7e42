"""From a raw text to chunks: pure functions. A chunk is a slice of the text; only white space is in none."""
