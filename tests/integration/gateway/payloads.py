"""Webhooks in WhatsApp's format and with its signature."""

import hashlib
import hmac
import json
from typing import Any

NUMBER = "106540352242922"
SECRET = "emulated-app-secret"


def text(bsuid: str, body: str, wamid: str, **fields: Any) -> dict[str, Any]:
    written = {"from_user_id": bsuid, "id": wamid, "timestamp": "1749416383", "type": "text"}
    return written | {"text": {"body": body}} | fields


def webhook(*messages: Any, number: str = NUMBER, **value: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15551234567", "phone_number_id": number},
    }
    if messages:
        told["messages"] = list(messages)
    change = {"field": "messages", "value": told | value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def sign(raw: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()}


def encode(body: Any) -> bytes:
    return json.dumps(body).encode()
