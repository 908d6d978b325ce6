"""Engines that run work in this thread, in threads or in worker processes."""
