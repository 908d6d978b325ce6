"""Sources that yield rows one by one in the main process."""
