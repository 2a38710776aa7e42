"""Measurements: each writes RESULTS/<name>.json, with the hardware it was made on."""
