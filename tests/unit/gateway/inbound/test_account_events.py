"""Account events in webhooks: parsed from the shapes of Meta's reference, and without personal data."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.whatsapp.account_events import PERSON, WORDS, account_event
from whatsapp_gateway.inbound.account_alerts import MOST_REMEMBERED, AccountAlerts
from whatsapp_gateway.inbound.account_events import FIELDS
from whatsapp_gateway.inbound.updates import read_updates
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.updates import AccountEvent, Ignored, TemplateWorks

NUMBER = "106540352242922"


def read(field: str, value: Any, time: Any = 1786000000, account: Any = "102290129340398") -> Any:
    body = {"entry": [{"id": account, "time": time, "changes": [{"field": field, "value": value}]}]}
    (update,) = read_updates(body, {NUMBER})
    return update


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("account_update", ["DISABLED_UPDATE", "SCHEDULE_FOR_DISABLE", "2026-12-01"]),
        ("account_review_update", ["REJECTED"]),
        ("account_alerts", ["CRITICAL", "ACTIVE", "OBA_REJECTED", "The request for"]),
        ("business_capability_update", ["TIER_250", "max_phone_numbers_per_business 2"]),
        ("phone_number_quality_update", ["FLAGGED", "TIER_2K"]),
        ("phone_number_name_update", ["REJECTED", "NAME_INDIVIDUAL_ISSUE"]),
        ("security", ["PIN_RESET_REQUEST"]),
        ("message_template_status_update", ["PAUSED", "order_confirmation", "en-US", "FIRST_PAUSE", "low quality"]),
        ("message_template_quality_update", ["RED", "GREEN", "order_confirmation"]),
        ("template_category_update", ["UTILITY", "MARKETING", "order_confirmation"]),
        ("standby", ["Business Agent", NUMBER, "is not answered", "WhatsApp Manager"]),
        ("messaging_handovers", ["Business Agent", NUMBER, "control_passed", "ai_agent", "escalation"]),
    ],
)
def test_each_field_reports_the_event_without_personal_data(field: str, said: list[str]) -> None:
    event = read(field, account_event(field, NUMBER))
    assert isinstance(event, AccountEvent)
    assert event.field == field
    assert [part for part in said if part not in event.text] == []
    secrets = [PERSON, WORDS, "Sheena", "Ann Smith", "61555822107539", "wamid", "6505551234"]
    assert [secret for secret in secrets if secret in event.text + event.key] == []


def test_the_emulator_sends_every_field() -> None:
    assert [field for field in FIELDS if not account_event(field, NUMBER)] == []


@pytest.mark.parametrize("event", ["APPROVED", "REINSTATED"])
@pytest.mark.parametrize("language", ["en_US", "en-US"])
def test_a_template_that_works_is_told_by_its_name(event: str, language: str) -> None:
    value = {"event": event, "message_template_name": "hello", "message_template_language": language}
    assert read("message_template_status_update", value) == TemplateWorks("hello", "en_US")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message_template_status_update", {"event": "PENDING"}),
        ("account_review_update", {"decision": "APPROVED"}),
        ("phone_number_name_update", {"decision": "APPROVED"}),
        ("message_template_quality_update", {"new_quality_score": "GREEN"}),
        ("account_alerts", {"alert_info": {"alert_severity": "INFORMATIONAL"}}),
        ("user_preferences", {"user_preferences": []}),
        ("a_field_of_tomorrow", {"event": "X"}),
        ("standby", {"metadata": {"phone_number_id": "1"}}),
        ("account_update", {}),
        ("account_update", "nonsense"),
    ],
)
def test_good_news_unknown_fields_and_other_numbers_raise_no_alert(field: str, value: Any) -> None:
    assert read(field, value) == Ignored("field")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SCAM"}}, "violation_type SCAM"),
        ({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": ["DISABLE"]}}, "waba_ban_state DISABLE"),
        (
            {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [
                    {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": 1786000000},
                    {"restriction_type": "RESTRICTED_UTILITY_TEMPLATES", "expiration": "2026-12-01T10:00:00+0000"},
                ],
            },
            "RESTRICTED_BIZ_INITIATED_MESSAGING, RESTRICTED_UTILITY_TEMPLATES, expiration 1786000000, 2026-12-01T10:00",
        ),
        ({"event": "PARTNER_REMOVED", "disconnection_info": {"reason": "CHANGE_NUMBER"}}, "reason CHANGE_NUMBER"),
        ({"event": "A\nforged line \x1b[31m +49 151 1234567"}, "event A forged line [31m …"),
        ({"event": 5}, "event 5"),
        ({"a_key": "of tomorrow"}, "no known value"),
    ],
)
def test_other_shapes_of_an_account_update(value: Any, said: str) -> None:
    assert said in read("account_update", value).text


def test_a_redelivered_event_raises_one_alert(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    metrics = Metrics()
    alerts = AccountAlerts(metrics, lambda: now)
    value = account_event("account_update", NUMBER)
    with caplog.at_level(logging.ERROR):
        for time in (1, 1, 2, 1):
            alerts.alert_once(read("account_update", value, time))
        for _ in range(3):
            alerts.alert_once(read("standby", account_event("standby", NUMBER)))
        now += 3601
        alerts.alert_once(read("standby", account_event("standby", NUMBER)))
    told = [line for line in caplog.messages if line.startswith("alert: ")]
    assert ["account_update" in line for line in told] == [True, True, False, False]
    assert metrics.account_events.labels("standby")._value.get() == 4


def test_the_memory_of_events_is_bounded() -> None:
    alerts = AccountAlerts(Metrics(), lambda: 0.0)
    for time in range(2 * MOST_REMEMBERED):
        alerts.alert_once(read("security", {"event": "PIN_CHANGED"}, time))
    assert len(alerts._alerted_until) == MOST_REMEMBERED


KEYS = st.sampled_from(["event", "ban_info", "waba_ban_state", "metadata", "phone_number_id", "recipient", "type"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(st.sampled_from([*FIELDS, "standby", "messaging_handovers"]), JSON, JSON, JSON)
def test_malformed_values_do_no_harm(field: str, value: Any, time: Any, account: Any) -> None:
    update = read(field, value, time, account)
    assert isinstance(update, AccountEvent | Ignored)
    assert json.dumps(update.text if isinstance(update, AccountEvent) else "").isascii()
