"""`hana-x-health`: how the platform is."""
