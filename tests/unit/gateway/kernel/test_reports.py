"""Which acknowledgements may be gathered."""

import time

import pytest

from whatsapp_gateway.kernel.reports import acknowledgement
from whatsapp_gateway.model.outbox import Ack, Delivery, DeliveryOutcome, Reply


@pytest.mark.parametrize(
    ("part", "outcome", "has_next", "is_urgent"),
    [
        (2, DeliveryOutcome.SENT, False, False),
        (1, DeliveryOutcome.SENT, True, False),  # the next reply waits for the last part
        (2, DeliveryOutcome.SENT, True, True),
        (1, DeliveryOutcome.RETRY, False, True),
        (1, DeliveryOutcome.FAILED, False, True),
    ],
)
def test_failures_and_what_the_next_reply_waits_for_are_urgent(
    part: int,
    outcome: DeliveryOutcome,
    has_next: bool,
    is_urgent: bool,
) -> None:
    delivery = Delivery(Reply("rp_1"), "whatsapp:US.1", "1", "lease", time.monotonic() + 60, has_next=has_next)
    ack = acknowledgement(Ack(delivery, part, 2, "3", outcome))
    assert ack.is_urgent is is_urgent
    assert ack.may_be_sent is (outcome is DeliveryOutcome.SENT)
