"""Stand-in for OpenAI's Responses API."""
