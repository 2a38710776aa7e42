"""What has to be done, decided from objects in memory: an action for each step, with its reason."""
