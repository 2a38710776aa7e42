"""`hana-x-models`: embedding models, looked at, tried and measured."""
