"""Rows become tasks, workers turn tasks into packed samples, and results keep their order."""
