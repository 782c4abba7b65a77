"""The remedy for each error of the Graph API: one table.

Codes: developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from enum import Enum, auto
from http import HTTPStatus
from typing import Final


class Remedy(Enum):
    """The remedy for a rejected send."""

    RETRY = auto()
    """A transient error: send again."""
    BACK_OFF = auto()
    """Too many messages to this one person: send again, to them alone with exponential backoff."""
    OPEN_CIRCUIT = auto()
    """The number or the business account may not send at all: an operator must act, then it is sent."""
    HOLD_PERSON = auto()
    """As OPEN_CIRCUIT, for people of one country only."""
    WAIT_FOR_WINDOW = auto()
    """The 24-hour window is closed: nothing may be sent until the person writes."""
    REUPLOAD = auto()
    """WhatsApp cannot use the file: upload and send it again, once."""
    GIVE_UP = auto()
    """The message will never be sent."""


RATE_LIMIT_CODES: Final = frozenset({4, 80007, 130429})
"""The number, or the whole account, exceeded its rate."""
_NO_SUCH_NUMBER: Final = (100, 33)
"""Code and subcode: the phone number id is wrong, or the token may not use it. The message itself is valid."""

_TRANSIENT: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_NO_ACCESS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

_REMEDIES: Final = {
    **dict.fromkeys((1, 2, *RATE_LIMIT_CODES, 131000, 131016, 131057, 133004), Remedy.RETRY),
    131056: Remedy.BACK_OFF,
    **dict.fromkeys((0, 3, 10, 33, 190, 368, 131005, 131031), Remedy.OPEN_CIRCUIT),
    **dict.fromkeys((131037, 131042, 131045, 131048, 131064, 133010), Remedy.OPEN_CIRCUIT),
    **dict.fromkeys(range(200, 300), Remedy.OPEN_CIRCUIT),
    130497: Remedy.HOLD_PERSON,
    131047: Remedy.WAIT_FOR_WINDOW,
    **dict.fromkeys((131052, 131053), Remedy.REUPLOAD),
    **dict.fromkeys((100, 130472, 131008, 131009, 131021, 131026, 131030, 131049), Remedy.GIVE_UP),
    **dict.fromkeys((131050, 131051, 131062, 135000), Remedy.GIVE_UP),
    **dict.fromkeys((132000, 132001, 132005, 132007, 132012, 132015, 132016, 132018, 132068, 132069), Remedy.GIVE_UP),
}


def remedy_for(code: int | None, status: int, subcode: int | None = None) -> Remedy:
    """The remedy for an error code, or for the HTTP status if the code is unknown or missing (None).

    An answer without a code does not come from the Graph API, but from a proxy or a wrong address. It is retried, or an
    operator is alerted, and no message is lost.
    """
    if (code, subcode) == _NO_SUCH_NUMBER:
        return Remedy.OPEN_CIRCUIT
    known = _REMEDIES.get(code) if code is not None else None
    if known:
        return known
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Remedy.RETRY
    return Remedy.OPEN_CIRCUIT if code is None or status in _NO_ACCESS else Remedy.GIVE_UP
