"""Stand-in for Composio: sessions, connected accounts, consent pages and tools on made-up data."""
