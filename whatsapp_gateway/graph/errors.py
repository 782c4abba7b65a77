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
    """Too much to this one person: send again, to them alone later and later."""
    HALT = auto()
    """The number or the business account is at fault, whoever is written to: an operator must act. Then it is sent."""
    HALT_PERSON = auto()
    """As HALT, of those alone who are where this person is."""
    WAIT_FOR_PERSON = auto()
    """The 24-hour window is closed: nothing may be sent until they write."""
    UPLOAD_AGAIN = auto()
    """WhatsApp cannot use the file: upload it again, once, and send that."""
    GIVE_UP = auto()
    """It will never be sent."""


TOO_FAST: Final = frozenset({4, 80007, 130429})
"""The number, or all of the account's, sent more than is allowed."""
_NO_SUCH_NUMBER: Final = (100, 33)
"""Code and subcode: the phone number id is wrong, or the token may not use it. Nothing is wrong with the message."""

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_NO_ACCESS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

_REMEDIES: Final = {
    **dict.fromkeys((1, 2, *TOO_FAST, 131000, 131016, 131057, 133004), Remedy.RETRY),
    131056: Remedy.SLOW_DOWN,
    **dict.fromkeys((0, 3, 10, 33, 190, 368, 131005, 131031), Remedy.HALT),
    **dict.fromkeys((131037, 131042, 131045, 131048, 131064, 133010), Remedy.HALT),
    **dict.fromkeys(range(200, 300), Remedy.HALT),
    130497: Remedy.HALT_PERSON,
    131047: Remedy.WAIT_FOR_PERSON,
    **dict.fromkeys((131052, 131053), Remedy.UPLOAD_AGAIN),
    **dict.fromkeys((100, 130472, 131008, 131009, 131021, 131026, 131030, 131049), Remedy.GIVE_UP),
    **dict.fromkeys((131050, 131051, 131062, 135000), Remedy.GIVE_UP),
    **dict.fromkeys((132000, 132001, 132005, 132007, 132012, 132015, 132016), Remedy.GIVE_UP),
}


def remedy_for(code: int | None, status: int, subcode: int | None = None) -> Remedy:
    """The remedy for an error code, or for the HTTP status where the code is unknown or missing (None).

    Without a code it is not the Graph API that speaks but a proxy, or whoever is at a wrong address: it passes or an
    operator mends it, and no message is lost for it.
    """
    if (code, subcode) == _NO_SUCH_NUMBER:
        return Remedy.HALT
    known = _REMEDIES.get(code) if code is not None else None
    if known:
        return known
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Remedy.RETRY
    return Remedy.HALT if code is None or status in _NO_ACCESS else Remedy.GIVE_UP
