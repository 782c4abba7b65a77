"""Each alert fires on its sign, and not on a quiet system: run by promtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

RULES = yaml.safe_load((Path(__file__).parents[3] / "deploy" / "observability" / "alerts.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]

BY_ONE = "0+60x90"
"""One a second, at a sample a minute."""
RARELY = "0+0.06x90"
SLOW = {"10.0": "0x90", "60.0": "0x90", "120.0": BY_ONE, "+Inf": BY_ONE}
FAST = {"10.0": BY_ONE, "60.0": BY_ONE, "120.0": BY_ONE, "+Inf": BY_ONE}

Series = dict[str, str]


def histogram(name: str, bins: dict[str, str], labels: str = "") -> Series:
    return {f'{name}{{{labels}le="{bound}"}}': values for bound, values in bins.items()}


def of(name: str, labels: str, value: str, quiet: str) -> tuple[Series, Series]:
    series = f"{name}{{{labels}}}" if labels else name
    return {series: value}, {series: quiet}


SERVES = 'kernel_nodes{state="serving",instance="a"}'
TURNS = 'kernel_turns_total{outcome="completed"}'
CASES: dict[str, tuple[Series, Series, dict[str, str]]] = {
    "KernelServiceDown": (*of("up", 'job="kernel_service"', "0x90", "1x90"), {"job": "kernel_service"}),
    "KernelServiceGone": ({SERVES: "0x90"}, {SERVES: "3x90"}, {}),
    "KernelHeartbeatLate": (*of("kernel_beat_age_seconds", "", "3x90", "1x90"), {}),
    "KernelNodeBuried": (*of("kernel_burials_total", "", "0+1x90", "3x90"), {}),
    "KernelLeaderUnclear": (*of("kernel_leader", "", "0x90", "1x90"), {}),
    "KernelNodesDisagree": (
        {SERVES: "3x90", SERVES.replace('"a"', '"b"'): "2x90"},
        {SERVES: "3x90", SERVES.replace('"a"', '"b"'): "3x90"},
        {},
    ),
    "KernelPeopleLost": (*of("kernel_moves_total", 'way="lost",instance="a"', BY_ONE, RARELY), {"instance": "a"}),
    "KernelPeopleMoveAllTheTime": (
        {'kernel_moves_total{way="taken"}': BY_ONE, TURNS: BY_ONE},
        {'kernel_moves_total{way="taken"}': RARELY, TURNS: BY_ONE},
        {},
    ),
    "KernelNoticesDropped": (*of("kernel_notices_dropped_total", "", "0+1x90", "5x90"), {}),
    "KernelNoticesInterrupted": (*of("kernel_notice_interruptions_total", "", "0+1x90", "1x90"), {}),
    "KernelNoticesLate": (
        histogram("kernel_notice_lag_seconds_bucket", {"1.0": "0x90", "2.0": BY_ONE, "+Inf": BY_ONE}),
        histogram("kernel_notice_lag_seconds_bucket", {"1.0": BY_ONE, "2.0": BY_ONE, "+Inf": BY_ONE}),
        {},
    ),
    "KernelStoreUnavailable": (*of("kernel_store_unavailable", 'instance="a"', "1x90", "0x90"), {"instance": "a"}),
    "KernelMessagesWait": (*of("kernel_messages_waiting_oldest_seconds", "", "900x90", "300x90"), {}),
    "KernelRepliesWait": (*of("kernel_replies_waiting_oldest_seconds", "", "900x90", "1x90"), {}),
    "KernelAnswersSlow": (
        histogram("kernel_answer_seconds_bucket", SLOW),
        histogram("kernel_answer_seconds_bucket", FAST),
        {},
    ),
    "KernelRpcsFail": (
        {'kernel_rpc_seconds_count{method="GetKernel",status="INTERNAL"}': BY_ONE},
        {'kernel_rpc_seconds_count{method="GetKernel",status="NOT_FOUND"}': BY_ONE},
        {"method": "GetKernel"},
    ),
    "EventLoopFull": (
        *of("process_cpu_seconds_total", 'job="whatsapp_gateway"', "0+58x90", "0+30x90"),
        {"job": "whatsapp_gateway"},
    ),
    "KernelTurnsWait": (*of("kernel_turn_queue", "", "3x90", "0x90"), {}),
    "KernelTurnsBreak": (
        {TURNS: BY_ONE, 'kernel_turns_total{outcome="broke"}': BY_ONE},
        {TURNS: BY_ONE, 'kernel_turns_total{outcome="broke"}': RARELY},
        {},
    ),
    "KernelVendorWaits": (
        histogram("kernel_vendor_wait_seconds_bucket", SLOW, 'vendor="model",'),
        histogram("kernel_vendor_wait_seconds_bucket", FAST, 'vendor="model",'),
        {"vendor": "model"},
    ),
    "KernelModelOutage": (
        *of("kernel_model_outage", 'problem="model_unpaid"', "1x90", "0x90"),
        {"problem": "model_unpaid"},
    ),
    "KernelModelUnavailable": (
        *of("kernel_model_unavailable_total", 'problem="model_busy"', "0+120x90", RARELY),
        {},
    ),
    "KernelModelFlaws": (*of("kernel_model_flaws_total", 'flaw="html"', BY_ONE, "0+0.2x90"), {"flaw": "html"}),
    "KernelCallsRefused": (
        *of("kernel_refused_calls_total", 'channel="telegram"', BY_ONE, RARELY),
        {"channel": "telegram"},
    ),
    "KernelTokensRefused": (
        *of("kernel_refused_tokens_total", 'reason="TOKEN_UNKNOWN"', BY_ONE, RARELY),
        {"reason": "TOKEN_UNKNOWN"},
    ),
    "KernelConnectAbuse": (*of("kernel_connect_attempts_total", 'outcome="wrong_person"', "0+1x90", RARELY), {}),
    "KernelEventsRefused": (
        *of("kernel_refused_events_total", 'reason="too_large"', "0+1x90", RARELY),
        {"reason": "too_large"},
    ),
    "KernelPeopleKeptApart": (*of("kernel_people_kept_apart", "", "2x90", "0x90"), {}),
    "GatewayDown": (*of("up", 'job="whatsapp_gateway"', "0x90", "1x90"), {"job": "whatsapp_gateway"}),
    "GatewayWebhooksFail": (
        {'gateway_webhooks_total{status="200"}': BY_ONE, 'gateway_webhooks_total{status="503"}': BY_ONE},
        {'gateway_webhooks_total{status="200"}': BY_ONE, 'gateway_webhooks_total{status="401"}': BY_ONE},
        {},
    ),
    "GatewayWebhooksSlow": (
        histogram("gateway_webhook_seconds_bucket", SLOW),
        histogram("gateway_webhook_seconds_bucket", {"3.0": BY_ONE, **FAST}),
        {},
    ),
    "GatewayPartsFail": (
        {'gateway_parts_total{outcome="sent"}': BY_ONE, 'gateway_parts_total{outcome="failed"}': BY_ONE},
        {'gateway_parts_total{outcome="sent"}': BY_ONE, 'gateway_parts_total{outcome="failed"}': RARELY},
        {},
    ),
}
FIRST_COUNTS = {"KernelMessageGivenUp", "GatewayAlert", "GatewayNeedsOperator", "GatewayQuarantine"}
"""Tried in test_observability.py."""


def test_each_alert_has_a_case() -> None:
    assert {rule["alert"] for rule in ALERTS} == CASES.keys() | FIRST_COUNTS


def case(name: str, series: Series, labels: dict[str, str], *, fires: bool) -> dict[str, Any]:
    alerts = [{"exp_labels": labels}] if fires else []
    return {
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "alert_rule_test": [{"eval_time": "60m", "alertname": name, "exp_alerts": alerts}],
    }


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_each_alert_fires_on_its_sign_and_not_on_a_quiet_system(tmp_path: Path) -> None:
    bare = [{key: rule[key] for key in ("alert", "expr", "for") if key in rule} for rule in ALERTS]
    (tmp_path / "rules").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": bare}]}))
    tests = [
        case(name, series, labels, fires=fires)
        for name, (sign, quiet, labels) in CASES.items()
        for series, fires in ((sign, True), (quiet, False))
    ]
    (tmp_path / "test").write_text(yaml.safe_dump({"rule_files": [str(tmp_path / "rules")], "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "test"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
