"""What WhatsApp's refusal of a part means for it, whether it is the answer to the send or comes later in a status."""

from http import HTTPStatus
from typing import Final

from whatsapp_gateway.graph.errors import Remedy, remedy_for
from whatsapp_gateway.model.deliveries import Outcome

HALT_SECONDS: Final = 300
SLOW_DOWN_SECONDS: Final = (4, 16, 64)

_OUTCOMES: Final = {
    Remedy.RETRY: Outcome.RETRY,
    Remedy.SLOW_DOWN: Outcome.RETRY,
    Remedy.HALT: Outcome.RETRY,
    Remedy.HALT_PERSON: Outcome.RETRY,
    Remedy.WAIT_FOR_PERSON: Outcome.WINDOW_CLOSED,
    Remedy.UPLOAD_AGAIN: Outcome.FAILED,  # it was, by then
    Remedy.GIVE_UP: Outcome.FAILED,
}


def outcome_of(remedy: Remedy) -> Outcome:
    """What becomes of the part."""
    return _OUTCOMES[remedy]


def wait_for(remedy: Remedy, slowed: int = 0) -> float:
    """Seconds to wait before it is sent again, after so many SLOW_DOWNs; 0: as the kernel service backs off."""
    if remedy in {Remedy.HALT, Remedy.HALT_PERSON}:
        return HALT_SECONDS
    if remedy is Remedy.SLOW_DOWN:
        return SLOW_DOWN_SECONDS[min(slowed, len(SLOW_DOWN_SECONDS) - 1)]
    return 0


def remedy_of_status(error_code: str) -> Remedy:
    """The remedy for a status `failed`; a code that is not known is for good, as nothing says that it would pass."""
    return remedy_for(int(error_code), HTTPStatus.OK) if error_code.isdecimal() else Remedy.GIVE_UP
