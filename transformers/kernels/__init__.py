"""Fast ways to compute what is defined elsewhere: an optimisation for the CPU, tested against the definitions."""
