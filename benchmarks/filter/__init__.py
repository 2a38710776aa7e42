"""`make bench-filter`: filtered search beside other databases, and what metadata indexes cost."""
