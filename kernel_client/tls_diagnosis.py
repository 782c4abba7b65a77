"""Explains failed calls by a TLS problem: gRPC says only that the kernel service was not reached."""

import asyncio
from pathlib import Path
from typing import Final

from kernel_client.errors import KernelError
from serving.tls_problems import PROBLEMS, TlsProblem, tls_problem

RESULT_SECONDS: Final = 2.0
"""How long a result is used. Probes of strangers so cause no flood of handshakes."""
REASONS: Final = frozenset(problem.reason for problem in PROBLEMS)
_NOT_REACHED: Final = frozenset({"UNAVAILABLE", "UNREACHABLE", "DEADLINE_EXCEEDED"})


class TlsDiagnosis:
    """The TLS problem of one target. Concurrent calls share one handshake. Arguments as of `tls_problem`."""

    def __init__(self, target: str, tls_ca: Path | None, name: str = "") -> None:
        self._asked = (target, tls_ca, name)
        self._handshake: asyncio.Task[TlsProblem | None] | None = None
        self._began_at = 0.0

    async def of(self, error: KernelError, seconds: float) -> KernelError:
        """The same error, or one that names what is wrong with TLS, within `seconds`."""
        if error.reason not in _NOT_REACHED:
            return error
        now = asyncio.get_running_loop().time()
        if self._handshake is None or now - self._began_at > RESULT_SECONDS:
            self._began_at = now
            self._handshake = asyncio.create_task(tls_problem(*self._asked))
        found, _ = await asyncio.wait([self._handshake], timeout=seconds)
        problem = self._handshake.result() if found else None
        return error if problem is None else KernelError(problem.reason, message=problem.text)
