"""Figures and tables out of the results of runs."""
