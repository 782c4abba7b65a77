"""Triggers: what the vendor watches people's accounts for, and how its events reach their assistants."""
