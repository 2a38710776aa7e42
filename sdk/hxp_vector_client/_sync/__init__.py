"""The client that blocks. Made of _async by scripts/gen_sdk.py, but for `waiting`."""
