"""What an error of the Graph API asks of us: one table.

Codes: developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from enum import Enum, auto
from http import HTTPStatus
from typing import Final


class Remedy(Enum):
    """What is to be done about a refused send."""

    RETRY = auto()
    """Passing: send again."""
    SLOW_DOWN = auto()
    """Too much to this one person: send again, to him alone later and later."""
    HALT = auto()
    """The business account itself is at fault: an operator must act, and then it is sent again."""
    WAIT_FOR_PERSON = auto()
    """The 24-hour window is closed: nothing may be sent until he writes."""
    GIVE_UP = auto()
    """It will never be sent."""


_REMEDIES: Final = {
    **dict.fromkeys((2, 4, 80007, 130429, 131000, 131016, 131057, 133004), Remedy.RETRY),
    131056: Remedy.SLOW_DOWN,
    **dict.fromkeys((0, 10, 190, 368, 130497, 131031, 131042, 131048, 131064), Remedy.HALT),
    **dict.fromkeys(range(200, 300), Remedy.HALT),
    131047: Remedy.WAIT_FOR_PERSON,
    **dict.fromkeys((100, 131008, 131009, 131021, 131026, 131030, 131049), Remedy.GIVE_UP),
    **dict.fromkeys((131050, 131051, 131052, 131053, 131062), Remedy.GIVE_UP),
}


def remedy_for(code: int | None, status: int) -> Remedy:
    """The remedy for an error code, or for the HTTP status where the code is unknown or missing."""
    known = _REMEDIES.get(code) if code is not None else None
    if known:
        return known
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Remedy.RETRY
    return Remedy.HALT if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} else Remedy.GIVE_UP
