"""The client, awaited. _sync is made of these modules by scripts/gen_sdk.py."""
