"""What every service process does alike: logs, signals, the metrics port, following the routing file."""
