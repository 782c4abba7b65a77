"""Webhooks about the account, signed as WhatsApp signs them. Each is one alert to operators, and reaches no person."""

import pytest

from emulators.app import Emulators
from emulators.whatsapp.account_events import PERSON, WORDS
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.fake_kernel import FakeKernel
from whatsapp_gateway.inbound.account_events import FIELDS

ALL = [*FIELDS, "standby", "messaging_handovers"]


async def test_each_event_is_one_alert_and_a_redelivery_none(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        for field in ALL:
            await emulators.whatsapp.tell_account(field, at=1786000000)
    assert [await gateway.count(f'alerts_total{{reason="{field}"}}') for field in ALL] == [1.0] * len(ALL)
    assert [await gateway.count(f'account_events_total{{field="{field}"}}') for field in ALL] == [2.0] * len(ALL)
    lines = [line for line in caplog.messages if line.startswith("alert: ")]
    assert len(lines) == len(ALL)
    assert [word for word in (PERSON, WORDS, "Sheena", "wamid") if word in caplog.text] == []
    assert kernel.messages == []


async def test_an_unknown_field_is_counted_without_an_alert(gateway: Gateway, emulators: Emulators) -> None:
    await emulators.whatsapp.tell_account("flows", {"event": "FLOW_STATUS_CHANGE"})
    assert await gateway.count('ignored_total{kind="field"}') == 1
