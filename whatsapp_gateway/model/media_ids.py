"""The ids of files at WhatsApp: they become part of an address, so they hold nothing that has a meaning there."""

import re
from typing import Final

_MEDIA_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")


def is_media_id(text: str) -> bool:
    """Meta's are of digits, and its documents promise no form."""
    return _MEDIA_ID.fullmatch(text) is not None
