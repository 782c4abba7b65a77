"""The WhatsApp channel: incoming webhooks, outgoing Graph API calls, and no stored state."""

import os

# Before grpc is loaded, because its core writes to the log by itself. The errors of calls contain the same information.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
