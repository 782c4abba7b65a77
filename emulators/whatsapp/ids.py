"""Identifiers in Meta's forms."""

import base64
import hashlib
import random
import re
import secrets

BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
"""A business-scoped user id, or a parent BSUID."""

PHONE = re.compile(r"\+?[0-9][0-9 ()-]{5,24}")


def message_id(correspondent: str, rng: random.Random, *, inbound: bool) -> str:
    """A wamid: base64 over the correspondent's id, the direction and a random part."""
    who = correspondent.encode()[:127]
    direction = b"\x12" if inbound else b"\x11"
    unique = rng.randbytes(10).hex().upper().encode()
    head = b"\x1c\x18" + bytes([len(who)]) + who + b"\x15\x02\x00" + direction
    return "wamid." + base64.b64encode(head + b"\x18\x14" + unique + b"\x00").decode()


def trace_id() -> str:
    """The fbtrace_id of a refusal."""
    return "A" + secrets.token_urlsafe(16)


def user_id(label: str, number: int) -> str:
    """The BSUID of the n-th phone with this label: the same after each restart."""
    return f"US.{_digits(f'user {label} {number}', 20)}"


def phone_number(label: str, number: int) -> str:
    """A wa_id from the range that is reserved for fiction, as stable as user_id()."""
    return f"1{_digits(f'area {label} {number}', 3, first='234567')}555{_digits(f'line {label} {number}', 4)}"


def display_number(phone_number_id: str) -> str:
    """The phone number that people see for a business number."""
    return f"1555{_digits(phone_number_id, 7)}"


def _digits(seed: str, count: int, *, first: str = "123456789") -> str:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest())
    return first[number % len(first)] + str(number).rjust(count, "0")[-(count - 1) :]
