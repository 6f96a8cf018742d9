"""The runner of the conformance suites, and what the suites share. Standard library only, Python 3.11 or newer."""
