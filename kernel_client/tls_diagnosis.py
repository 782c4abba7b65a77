"""Why calls do not reach the kernel service, if TLS is the reason: gRPC says only that they did not."""

import asyncio
from typing import Final

from kernel_client.address import KernelAddress
from kernel_client.errors import KernelError
from serving.tls_problems import PROBLEMS, TlsProblem, tls_problem

LOOK_SECONDS: Final = 2.0
"""A result is used for this long, so that probes of strangers cause no flood of handshakes."""
REASONS: Final = frozenset(problem.reason for problem in PROBLEMS)
_UNHEARD: Final = frozenset({"UNAVAILABLE", "UNREACHABLE", "DEADLINE_EXCEEDED"})


class TlsDiagnosis:
    """Of one address. Concurrent questions share a look."""

    def __init__(self, address: KernelAddress) -> None:
        self._address = address
        self._look: asyncio.Task[TlsProblem | None] | None = None
        self._looked_at = 0.0

    async def of(self, error: KernelError, seconds: float) -> KernelError:
        """The same error, or one that names what is wrong with TLS, within `seconds`."""
        if error.reason not in _UNHEARD:
            return error
        now = asyncio.get_running_loop().time()
        if self._look is None or now - self._looked_at > LOOK_SECONDS:
            self._looked_at = now
            self._look = asyncio.create_task(tls_problem(self._address.target, self._address.tls_ca))
        found, _ = await asyncio.wait([self._look], timeout=seconds)
        problem = self._look.result() if found else None
        return error if problem is None else KernelError(problem.reason, message=problem.text)
