"""Stand-ins for the vendors (OpenAI, Composio, WhatsApp) that speak their real HTTP, strictly."""
