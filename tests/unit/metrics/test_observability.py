"""The dashboard and the alerts ask for metrics and labels that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kernel_service.api.channel_admission import ChannelAdmission, ChannelLimits
from kernel_service.cluster.notice_board import NoticeBoard
from kernel_service.kernels.person_tasks import PersonTasks
from kernel_service.metrics.cluster import ClusterMetrics
from kernel_service.metrics.endpoint import Metrics
from kernel_service.metrics.work import WorkMetrics
from kernel_service.models.outages import Outages
from kernel_service.ports.admin import Backlog
from kernel_service.rate_limits.wait_histogram import Latencies, WaitHistogram
from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.turns.counters import TurnCounters
from serving.listening import Address
from tests.node_view import View
from whatsapp_gateway.metrics import Metrics as GatewayMetrics

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


class Nothing:
    """A kernel map, or a queue, that is empty."""

    vendor, waiting, activations = "model", 0, 0

    def __init__(self) -> None:
        self.evictions: Counter[str] = Counter()
        self.wait_histogram = WaitHistogram()

    def resident(self) -> list[Any]:
        return []

    def __len__(self) -> int:
        return 0


def known() -> dict[str, set[str]]:
    """The labels of each metric, by the names under which Prometheus stores them."""
    found = {"up": set(_OF_THE_SCRAPE)}
    for family in (*kernel_metrics().collect(), *gateway_metrics().registry.collect()):
        names = [family.name]
        if family.type == "counter":
            names = [f"{family.name}_total"]
        elif family.type == "histogram":
            names = [f"{family.name}{end}" for end in ("_bucket", "_sum", "_count")]
        elif family.type == "info":
            names = [f"{family.name}_info"]
        labels = _labels(family) | _OF_THE_SCRAPE | ({"le"} if family.type == "histogram" else set())
        found |= dict.fromkeys(names, labels)
    return found


def _labels(family: Any) -> set[str]:
    collectors: dict[str, Any] = dict(gateway_metrics().registry._names_to_collectors)
    if family.type == "info":
        return {"version"}
    return set(getattr(collectors.get(family.name, family), "_labelnames", ()))


def gateway_metrics() -> GatewayMetrics:
    """With the value that only the wiring can show."""
    metrics = GatewayMetrics()
    metrics.show("kernel_streams", "Open streams", lambda: 0)
    return metrics


def kernel_metrics() -> Metrics:
    empty, people = Nothing(), SimpleNamespace(links=Counter())
    parts: list[Any] = [empty, people, None]
    counters: dict[str, Any] = {"connects": Counter(), "refused_tokens": Counter(), "refused_calls": Counter()}
    cluster: Any = View()
    cluster.burials = 0
    queues: Any = [empty]
    metrics = Metrics(
        Address("", 0),
        *parts,
        turns=TurnCounters(),
        queues=queues,
        outages=Outages(),
        cluster=ClusterMetrics(cluster, NoticeBoard(None), Counter()),
        work=work_metrics(),
        backlog=no_backlog,
        **counters,
    )
    metrics._kept_apart = 0
    return metrics


def work_metrics() -> WorkMetrics:
    async def serve(_: str) -> None: ...

    turns, calls, model = TurnCounters(), ChannelAdmission(ChannelLimits()), Latencies()
    metrics = WorkMetrics(turns, PersonTasks(serve, max_running=1), calls, model, [OutageLog("read")], max_turns=1)
    metrics.backlog = Backlog(0, 0.0, 0, 0.0)
    return metrics


async def no_backlog() -> None:
    return None


KNOWN = known()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_expression_asks_for_metrics_and_labels_that_exist(expression: str) -> None:
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
    families = {family.name for family in (*kernel_metrics().collect(), *gateway_metrics().registry.collect())}
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
