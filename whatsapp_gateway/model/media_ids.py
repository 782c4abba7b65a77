"""The ids of files at WhatsApp. They become part of a URL, so characters with a meaning in URLs are not allowed."""

import re
from typing import Final

_MEDIA_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")


def is_media_id(text: str) -> bool:
    """Meta's ids consist of digits today; its documentation promises no format."""
    return _MEDIA_ID.fullmatch(text) is not None
