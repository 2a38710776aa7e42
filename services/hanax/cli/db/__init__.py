"""`hana-x-db`: collections, and points in and out of them."""
