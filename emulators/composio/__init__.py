"""Emulator of Composio: sessions, connected accounts, consent pages, and tools on invented data."""
