from types import SimpleNamespace
from typing import Any

import pytest
from tenacity import Future, RetryCallState

from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.outbound.ack_queue import pause


@pytest.mark.parametrize(("error", "least"), [(KernelCallError("CHANNEL_BUSY", 30), 30), (KernelCallError("X"), 0)])
def test_an_acknowledgement_waits_as_long_as_the_service_requests(error: Exception, least: float) -> None:
    unused: Any = SimpleNamespace()
    state = RetryCallState(unused, fn=None, args=(), kwargs={})
    state.outcome = Future.construct(1, error, has_exception=True)
    assert least <= pause(state) <= max(least, 5)
