"""The dashboard and the alerts ask for metrics and labels that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.reference.metric_families import gateway_families, kernel_families

FOLDER = Path(__file__).parents[3] / "deploy" / "observability"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
EXPRESSIONS = [
    *(target["expr"] for panel in PANELS for target in panel["targets"]),
    *(rule["expr"] for rule in ALERTS),
]
_METRIC = re.compile(r"\b(?:kernel|gateway|process)_\w+|\bup\b")
_IN_BRACES = re.compile(r"\{([^}]*)\}")
_GROUPED_BY = re.compile(r"\bby \(([^)]*)\)")
_OF_THE_SCRAPE = {"job", "instance"}


def known() -> dict[str, set[str]]:
    """The labels of each metric, by the names under which Prometheus stores them."""
    found = {"up": set(_OF_THE_SCRAPE)}
    for family in FAMILIES:
        labels = {*family.labels, *_OF_THE_SCRAPE} | ({"le"} if family.kind == "histogram" else set())
        found |= dict.fromkeys(family.names, labels)
    return found


FAMILIES = [*kernel_families(), *gateway_families()]
KNOWN = known()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_expression_uses_metrics_and_labels_that_exist(expression: str) -> None:
    names = set(_METRIC.findall(re.sub(r'"[^"]*"', '""', _GROUPED_BY.sub("", expression))))
    assert names
    assert names <= KNOWN.keys()
    labels = set.union(*(KNOWN[name] for name in names))
    matchers = [matcher for inner in _IN_BRACES.findall(expression) for matcher in inner.split(",")]
    selected = {re.split("[=!]", matcher)[0].strip() for matcher in matchers}
    grouped = {label.strip() for inner in _GROUPED_BY.findall(expression) for label in inner.split(",")}
    assert selected | grouped <= labels


OF_EVERY_PROCESS = {
    *("process_virtual_memory_bytes", "process_start_time_seconds", "process_open_fds", "process_max_fds"),
}


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    families = {family.name for family in FAMILIES}
    assert sorted(name for name in families - OF_EVERY_PROCESS if name not in shown) == []


def test_each_panel_says_what_it_shows_and_has_its_own_place() -> None:
    assert all(panel["description"] and panel["title"] for panel in PANELS)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_each_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "runbook", "runbook_url"}
    page = FOLDER.parents[1] / rule["annotations"]["runbook_url"]
    assert page.is_file()
    assert page.parent.name == "how-to"
    assert all(len(text) > 20 for text in rule["annotations"].values())


def test_the_alerts_have_different_names() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_reads_the_alerts() -> None:
    subprocess.run(["promtool", "check", "rules", FOLDER / "alerts.yaml"], check=True)


FIRST_COUNTS = [
    ("KernelMessageGivenUp", "kernel_turns_total", {"outcome": "dead"}),
    ("GatewayAlert", "gateway_alerts_total", {"reason": "account_update"}),
    ("GatewayNeedsOperator", "gateway_graph_operator_errors_total", {"code": "190"}),
    ("GatewayQuarantine", "gateway_quarantined_total", {"reason": "unreadable"}),
]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize(("name", "metric", "labels"), FIRST_COUNTS)
def test_the_first_count_of_a_label_fires_once(name: str, metric: str, labels: dict[str, str], tmp_path: Path) -> None:
    """The series does not exist before."""
    [rule] = [{"alert": name, "expr": each["expr"]} for each in ALERTS if each["alert"] == name]
    (tmp_path / "rules").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
    matchers = ",".join(f'{label}="{value}"' for label, value in labels.items())
    series = {"series": f'{metric}{{instance="gateway-1",{matchers}}}', "values": "_x9 1x120"}
    cases = [
        {"eval_time": "8m", "alertname": name, "exp_alerts": []},
        {"eval_time": "12m", "alertname": name, "exp_alerts": [{"exp_labels": labels}]},
        {"eval_time": "100m", "alertname": name, "exp_alerts": []},
    ]
    test = {"interval": "1m", "input_series": [series], "alert_rule_test": cases}
    (tmp_path / "test").write_text(yaml.safe_dump({"rule_files": [str(tmp_path / "rules")], "tests": [test]}))
    subprocess.run(["promtool", "test", "rules", tmp_path / "test"], check=True)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_an_alert_of_any_increase_sees_the_first_count_of_a_label(rule: dict[str, Any]) -> None:
    for metric in re.findall(r"increase\((\w+)\[\w+\]\)\)? > 0", rule["expr"]):
        begins_with_its_first_count = bool(KNOWN[metric] - _OF_THE_SCRAPE)
        assert (f"{metric} unless {metric} offset" in rule["expr"]) == begins_with_its_first_count
