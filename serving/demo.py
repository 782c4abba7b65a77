"""The secrets that this project's own files contain. They are public, so they protect nothing."""

from __future__ import annotations

import base64
from typing import Final

DEMO_SECRETS: Final = {
    "KERNEL_TOKEN": "demo-channel-token",
    "KERNEL_ADMIN_TOKEN": "demo-admin-token",
    "KERNEL_ENCRYPTION_KEYS": "demo:ZGVtbyBvbmx5OiBrbm93biB0byBldmVyeWJvZHkgISE=",
    "POSTGRES_PASSWORD": "demo",
    "OPENAI_API_KEY": "sk-emulated",
    "COMPOSIO_API_KEY": "ak_emulated",
    "COMPOSIO_WEBHOOK_SECRET": "emulated-webhook-secret",
    "WHATSAPP_ACCESS_TOKEN": "emulated-access-token",
    "WHATSAPP_APP_SECRET": "emulated-app-secret",
    "WHATSAPP_VERIFY_TOKEN": "emulated-verify-token",
}
"""The values of the demo in docker-compose.yml (deploy/demo.env) and of the emulators, by setting."""

_EXAMPLES: Final = ("<16 characters or more>", "token-of-16-or-more")
"""The placeholders for secrets in README.md and .env.example."""

DEMO_KEY: Final = base64.b64decode(DEMO_SECRETS["KERNEL_ENCRYPTION_KEYS"].partition(":")[2])
PUBLISHED: Final = frozenset({*DEMO_SECRETS.values(), *_EXAMPLES})
