"""The state machines: for each concern the one table of transitions, which code, SQL and documents take from here."""
