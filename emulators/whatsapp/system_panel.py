"""The system's own state of the people behind the phones, read from its admin service over gRPC."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
from kernel.v1 import admin_pb2, admin_pb2_grpc, connections_pb2

from emulators.whatsapp.feed import Feed
from emulators.whatsapp.kernel_plans import KernelPlans
from emulators.whatsapp.kernel_progress import KernelProgress
from emulators.whatsapp.phones import Phone
from serving.cancellation import cancel_and_wait

_MOST_PHONES = 20
_RECONNECT_MS = 1000
"""Soon, since people kill the service to watch it come back."""
_REFUSED = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)

State = dict[str, Any]


class SystemPanel:
    """Polls while a page is open, and publishes a `system` event whenever the answer changes.

    `state` is {problem, resident, next, people: [{phone, person, resident, busy, items, waiting, held, tokens,
    connections, window, schedules, facts, triggers}]}. `waiting` counts messages and answers that are on their way,
    `held` is the time until which a turn waits, or null, and `tokens` are those of the latest turn. `plans` describes
    schedules and facts, `watched` returns the triggers of a person id, and `is_window_open` whether a phone takes more
    than templates. `next` is the time at which the next schedule is due. `problem` is empty, or a sentence for people;
    then the rest is invalid. `asked` is called with each state.
    """

    def __init__(
        self,
        address: str,
        token: str,
        phones: Iterable[Phone],
        feed: Feed,
        plans: KernelPlans,
        *,
        watched: Callable[[str], list[State]],
        is_window_open: Callable[[Phone], bool],
        pause: float = 1,
        tls_ca: Path | None = None,
    ) -> None:
        self.state: State = _away("Asking the kernel service …")
        self._address = address
        self._tls_ca = tls_ca
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._has_token = bool(token)
        self._progress = KernelProgress(self._metadata)
        self._phones = phones
        self._feed = feed
        self._plans = plans
        self._watched = watched
        self._is_window_open = is_window_open
        self._pause = pause
        self.asked: Callable[[State], None] = lambda _: None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start polling, unless it has started already."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            await cancel_and_wait(self._task)

    async def _watch(self) -> None:
        await self._feed.watched.wait()
        while self._tls_ca is not None and not self._tls_ca.exists():  # noqa: ASYNC110 - another process's
            await asyncio.sleep(self._pause)
        async with self._channel() as channel:
            while True:
                await self._feed.watched.wait()
                state = await self._ask(channel)
                if state != self.state:
                    self.state = state
                    self._feed.publish("system", state)
                self.asked(state)
                await asyncio.sleep(self._pause)

    def _channel(self) -> grpc.aio.Channel:
        options = (("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS))
        if self._tls_ca is None:
            return grpc.aio.insecure_channel(self._address, options=options)
        credentials = grpc.ssl_channel_credentials(self._tls_ca.read_bytes())
        return grpc.aio.secure_channel(self._address, credentials, options=options)

    async def _ask(self, channel: grpc.aio.Channel) -> State:
        if not self._has_token:
            return _away("The emulator has no access: set KERNEL_ADMIN_TOKEN to the token of the kernel service.")
        admin = admin_pb2_grpc.KernelAdminServiceStub(channel)
        try:
            kernels = await admin.ListKernels(
                admin_pb2.ListKernelsRequest(page_size=1), metadata=self._metadata, timeout=5
            )
            # Copy the phones: more may be added meanwhile.
            phones = list(islice(self._phones, _MOST_PHONES))
            people = [await self._person(channel, phone) for phone in phones]
        except grpc.aio.AioRpcError as problem:
            return _away(_sentence(problem.code()))
        due = [each["next"] for person in people for each in person.get("schedules", []) if each["next"] is not None]
        return {"problem": "", "resident": kernels.total, "next": min(due, default=None), "people": people}

    async def _person(self, channel: grpc.aio.Channel, phone: Phone) -> dict[str, Any]:
        user_id = f"whatsapp:{phone.user_id}"
        request = admin_pb2.GetKernelRequest(person=admin_pb2.PersonRef(user_id=user_id))
        admin = admin_pb2_grpc.KernelAdminServiceStub(channel)
        try:
            answer = await admin.GetKernel(request, metadata=self._metadata, timeout=5)
            progress = await self._progress.of(channel, user_id)
            plans = await self._plans.of(channel, user_id)
        except grpc.aio.AioRpcError as problem:
            if problem.code() != grpc.StatusCode.NOT_FOUND:
                raise
            return {"phone": phone.user_id, "person": ""}
        vendors = {
            "window": "open" if self._is_window_open(phone) else "closed",
            "triggers": self._watched(answer.kernel.person_id),
        }
        return {"phone": phone.user_id} | _kernel(answer.kernel) | progress | plans | vendors


def _kernel(kernel: admin_pb2.Kernel) -> dict[str, Any]:
    return {
        "person": kernel.person_id,
        "resident": kernel.resident,
        "busy": kernel.busy,
        "items": kernel.history_items,
        "connections": [
            {
                "toolkit": connection.toolkit,
                "status": connections_pb2.ConnectionStatus.Name(connection.status)
                .removeprefix("CONNECTION_STATUS_")
                .lower(),
            }
            for connection in kernel.connections
        ],
    }


def _away(problem: str) -> State:
    return {"problem": problem, "resident": 0, "next": None, "people": []}


def _sentence(code: grpc.StatusCode) -> str:
    if code in _REFUSED:
        return "The kernel service refuses access: KERNEL_ADMIN_TOKEN is not its token, or KERNEL_TOKEN is not."
    return "The kernel service is unavailable. Messages wait and are delivered again."
