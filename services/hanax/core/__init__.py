"""What all sides agree on: errors, ids, distances, filters, specs, routing. No I/O, no threads."""
