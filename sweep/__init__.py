"""Sweeps: what the points are, who runs which, and what is kept of each; `run_sweep.py` is the command."""
