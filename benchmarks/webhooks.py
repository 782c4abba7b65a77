"""WhatsApp's webhooks, created and signed before a run, so that the load itself costs little CPU."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import orjson

APP_SECRET = "benchmark-app-secret"  # noqa: S105 - of no vendor
NUMBER = "106540352242922"
_FILLER = "could you have a look at this when you find a minute, and tell me what you think of it?"


def message(person: int, marker: str, delay: float = 0.0) -> bytes:
    """The whole request with one person's text, which contains the marker. They write it `delay` seconds from now.

    A message with an old time is late, and costs the kernel service more.
    """
    phone, user = f"4915{person:09}", bsuid(person)
    said = {
        "from": phone,
        "from_user_id": user,
        "id": f"wamid.{marker}",
        "timestamp": str(int(time.time() + delay)),
        "type": "text",
        "text": {"body": f"{marker} {_FILLER}"},
    }
    contact = {"profile": {"name": f"Person {person}"}, "wa_id": phone, "user_id": user}
    return _request({"contacts": [contact], "messages": [said]})


def bsuid(person: int) -> str:
    """The id of one person that WhatsApp verifies."""
    return f"DE.{10**15 + person}"


def status(state: str, wamid: str, callback_id: str, recipient: str) -> bytes:
    """The whole request with the status of a message."""
    report = {
        "id": wamid,
        "status": state,
        "timestamp": str(int(time.time())),
        "recipient_user_id": recipient,
        "biz_opaque_callback_data": callback_id,
        "pricing": {"billable": False, "pricing_model": "PMP", "category": "service", "type": "free_customer_service"},
    }
    return _request({"contacts": [{"user_id": recipient}], "statuses": [report]})


def _request(told: dict[str, Any]) -> bytes:
    metadata = {"display_phone_number": "15550783881", "phone_number_id": NUMBER}
    value = {"messaging_product": "whatsapp", "metadata": metadata, **told}
    changes = [{"value": value, "field": "messages"}]
    body = orjson.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]}
    )
    signature = hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        "POST /webhook HTTP/1.1\r\nHost: benchmark\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
