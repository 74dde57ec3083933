"""Campaigns: runs killed at random, checkpoints damaged at random, and loaders fed with what nobody meant to write.

`python -m tests.campaigns` repeats the long forms and prints the figures of docs/RELIABILITY.md; the tests in here are
their short forms.
"""
