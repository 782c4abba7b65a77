"""docs/reference/metrics.md: the metrics of both services, and the alerts on them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from checks.reference.markdown import item, paragraphs
from checks.reference.markdown import page as written
from checks.reference.metric_families import gateway_families, kernel_families

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checks.reference.metric_families import Family

ALERTS = Path(__file__).parents[2] / "deploy" / "observability" / "alerts.yaml"
_INTRODUCTION = """\
# Metrics

Prometheus reads the kernel service's metrics at `KERNEL_METRICS_LISTEN`, and the gateway's at `GATEWAY_METRICS_LISTEN`
or, without it, at `GATEWAY_LISTEN`; the path is `/metrics`. No label names a person. On Linux both also show the
`process_…` metrics of CPU, memory and open files. [Observability](../how-to/observability.md) shows how to watch
them, with a dashboard."""


def page() -> str:
    return written(
        "the metrics and the alerts",
        _INTRODUCTION,
        "## Kernel service",
        _list(kernel_families()),
        "## WhatsApp gateway",
        _list(gateway_families()),
        "## Alerts",
        "The rules of [alerts.yaml](../../deploy/observability/alerts.yaml), each with what it tells and what to do.",
        *(part for rule in _rules() for part in _alert(rule)),
    )


def _list(families: Sequence[Family]) -> str:
    own = (each for each in families if not each.name.startswith("process_"))
    return "\n".join(map(_entry, sorted(own)))


def _entry(family: Family) -> str:
    """A histogram is asked for by three names, and known by what they have in common."""
    name = family.name if family.kind == "histogram" else family.names[0]
    labels = ", ".join(f"`{label}`" for label in family.labels)
    kind = f"{family.kind} by {labels}" if labels else family.kind
    return item(f"`{name}` ({kind}):", paragraphs(f"{family.text}."))


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def _alert(rule: dict[str, Any]) -> list[str]:
    told = rule["annotations"]
    return [
        f"### `{rule['alert']}`",
        f"{_values(told['summary'])} *{rule['labels']['severity'].capitalize()}.*",
        _values(told["runbook"]),
    ]


def _values(text: str) -> str:
    """Text whose values have their names: `{{ $labels.instance }}` becomes ‹instance›."""
    return paragraphs(re.sub(r"\{\{ \$(?:labels\.)?(\w+)[^}]*\}\}", r"‹\1›", text))
