"""Emulator of OpenAI's Responses API."""
