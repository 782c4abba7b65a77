"""How the process runs, and what it tells."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator

from kernel_service import insecure
from kernel_service.settings.listening import Listening
from serving.log_settings import LogFormat, LogLevel
from serving.ranges import Range
from serving.traces_setting import checked_traces


class Process(Listening):
    """The process."""

    kernel_max_turns: Annotated[int, Range(1, 10_000)] = 64
    """Concurrent turns of a node."""
    kernel_debounce_seconds: Annotated[float, Range(0, 60)] = 0.6
    """How long a burst of messages is gathered into one turn."""
    kernel_memory_mb: Annotated[float, Range(100, 10**9, or_zero=True)] = 0
    """The most resident memory of the process, in MB, on Linux. At 90 % of it, checked each second, idle kernels rest
    or leave memory, the least recently used first. Turns in progress may take more, so also lower `KERNEL_MAX_TURNS`
    if the limit is tight. The process needs about 130 MB without any. Each further GB holds about 45,000 kernels of
    50 turns in the ten minutes after a turn, and a million at rest: see benchmarks/README.md#memory-of-kernels. 0: no
    limit."""
    kernel_idle_seconds: Annotated[float, Range(1, 10**9)] = 86_400
    """How long a kernel is idle before it leaves memory."""
    kernel_sweep_seconds: Annotated[float, Range(0.1, 86_400)] = 60
    """How often idle kernels are looked for."""
    kernel_drain_seconds: Annotated[float, Range(0, 3600)] = 20
    """How long turns may take to end after SIGTERM."""
    kernel_watchdog_seconds: Annotated[float, Range(3, 3600, or_zero=True)] = 10
    """An event loop that is blocked for this long ends the process with code 70, with its threads' stacks in the log.
    0: never."""
    log_level: LogLevel = "info"
    """The least severe lines of the log, which goes to stderr. See docs/how-to/observability.md#logs."""
    log_format: LogFormat = "text"
    """The form of the log: text, or one JSON object a line."""
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(checked_traces)] = ""
    """The address of a collector that takes OTLP over gRPC, as `http://localhost:4317`. Unset: messages are not traced.
    See docs/how-to/observability.md#traces."""
    otel_traces_sampler_arg: Annotated[float, Range(0, 1)] = 1
    """The share of messages that are traced."""
    kernel_emulated_clock: Path | None = None
    """The file of a clock that the phones page moves forward, for demos and tests only. `make run` sets it while
    WhatsApp and Composio are emulated. See docs/explanation/security.md#settings-that-are-refused."""

    @field_validator("kernel_emulated_clock")
    @classmethod
    def _is_for_development(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        insecure.check_emulated_clock(value, info)
        return value
