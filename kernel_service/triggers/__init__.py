"""Triggers: the vendor watches people's accounts for events, and each event becomes a message to the assistant."""
