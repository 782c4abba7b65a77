"""The outcome and the retry delay of a part that WhatsApp rejected, in the answer to the send or later in a status."""

from http import HTTPStatus
from typing import Final

from whatsapp_gateway.graph.errors import Remedy, remedy_for
from whatsapp_gateway.model.outbox import DeliveryOutcome

CIRCUIT_OPEN_SECONDS: Final = 300
BACKOFF_SECONDS: Final = (4, 16, 64)

_OUTCOMES: Final = {
    Remedy.RETRY: DeliveryOutcome.RETRY,
    Remedy.BACK_OFF: DeliveryOutcome.RETRY,
    Remedy.OPEN_CIRCUIT: DeliveryOutcome.RETRY,
    Remedy.HOLD_PERSON: DeliveryOutcome.RETRY,
    Remedy.WAIT_FOR_WINDOW: DeliveryOutcome.WINDOW_CLOSED,
    Remedy.REUPLOAD: DeliveryOutcome.FAILED,  # it was already retried before this
    Remedy.GIVE_UP: DeliveryOutcome.FAILED,
}


def outcome_of(remedy: Remedy) -> DeliveryOutcome:
    """The outcome of the part."""
    return _OUTCOMES[remedy]


def retry_delay(remedy: Remedy, backoff_count: int = 0) -> float:
    """Seconds before the part is sent again, after `backoff_count` BACK_OFFs; 0: the kernel service decides."""
    if remedy in {Remedy.OPEN_CIRCUIT, Remedy.HOLD_PERSON}:
        return CIRCUIT_OPEN_SECONDS
    if remedy is Remedy.BACK_OFF:
        return BACKOFF_SECONDS[min(backoff_count, len(BACKOFF_SECONDS) - 1)]
    return 0


def remedy_of_status(error_code: str) -> Remedy:
    """The remedy for a status `failed`. An unknown code is final, since nothing says that it is transient."""
    return remedy_for(int(error_code), HTTPStatus.OK) if error_code.isdecimal() else Remedy.GIVE_UP
