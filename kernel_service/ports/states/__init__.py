"""The state machines: one table of transitions for each concern, the source for code, SQL and documents."""
