"""The setting by which traces are on, checked without an import of OpenTelemetry."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit


def checked_traces(endpoint: str) -> str:
    """Raises a ValueError whose text follows the setting's name. Empty: traces are off."""
    if not endpoint:
        return ""
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port is not None
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError("must be the address of a collector that takes OTLP over gRPC, as http://localhost:4317")
    if find_spec("opentelemetry") is None:
        raise ValueError("needs OpenTelemetry: install requirements-traces.txt, or leave it empty")
    return endpoint
