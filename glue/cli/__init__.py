"""The command line: flags, what is printed, signals."""
