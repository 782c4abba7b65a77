"""Builds the parts of the service from its settings, each group in one file."""
