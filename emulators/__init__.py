"""Emulators of the vendors (OpenAI, Composio, WhatsApp) that speak the vendors' real HTTP, strictly."""

import os

# Set before grpc is imported: its core would write extra lines to the log, and the errors of calls say the same.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
