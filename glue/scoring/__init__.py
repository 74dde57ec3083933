"""Predictions, scores, and measures of oversmoothing."""
