"""`hana-x-migrate`: changes of collections as files that are kept beside an application's code."""
