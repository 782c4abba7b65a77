"""The whole product in one process: emulated vendors, kernel service and gateway, over real HTTP and gRPC."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
from aiohttp import web
from kernel.v1 import admin_pb2, admin_pb2_grpc, kernel_pb2_grpc, messages_pb2

from emulators.app import Emulators
from emulators.config import Config
from kernel_service.app import KernelServer, serve
from kernel_service.config import Settings as KernelSettings
from tests.integration.mortal import MortalGateway
from tests.migrated_sqlite import KEYS, copy_migrated
from tests.ports import free_port
from whatsapp_gateway.app import ACCEPT_SECONDS, build_app
from whatsapp_gateway.config import Settings as GatewaySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from emulators.whatsapp.chat import ChatMessage
    from emulators.whatsapp.phones import Phone

WHATSAPP_TOKEN = "whatsapp-token-of-the-tests"
TELEGRAM_TOKEN = "telegram-token-of-the-tests"
ADMIN_TOKEN = "admin-token-of-the-tests"


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


class World:
    """`kernel` and `gateway_url` change with a restart; the phones and vendors stay. `settings` are read when the
    kernel service starts. `wall` and `monotonic` are its clocks, without the time that `pass_time` has let pass.
    """

    kernel: KernelServer

    def __init__(self, emulators: Emulators, kernel_port: int, folder: Path, settings: dict[str, Any]) -> None:
        self.emulators = emulators
        self.wall: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic
        self.accept_seconds = ACCEPT_SECONDS
        self._kernel_port, self._gateway_port = kernel_port, free_port()
        self.kernel_serves = asyncio.Event()
        self._kernel_parts, self._gateway_parts = AsyncExitStack(), AsyncExitStack()
        self.settings = {
            "kernel_listen": f"127.0.0.1:{self._kernel_port}",
            "kernel_metrics_listen": f"127.0.0.1:{free_port()}",
            "connect_listen": f"127.0.0.1:{free_port()}",
            "connect_trusted_proxies": "127.0.0.1",
            "kernel_database_url": f"sqlite:///{folder}/kernel.db",
            "kernel_channel_tokens": f"whatsapp={WHATSAPP_TOKEN},telegram={TELEGRAM_TOKEN}",
            "kernel_admin_token": ADMIN_TOKEN,
            "kernel_encryption_keys": KEYS,
            "kernel_debounce_seconds": 0,
            "kernel_emulated_clock": emulators.config.kernel_emulated_clock,
            "openai_api_key": emulators.config.openai_api_key,
            "openai_base_url": f"{emulators.url}/openai/v1",
            "composio_api_key": emulators.config.composio_api_key,
            "composio_base_url": f"{emulators.url}/composio",
            **settings,
        }
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self._kernel_port}", options=[("grpc.min_reconnect_backoff_ms", 50), ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)])  # fmt: skip  # noqa: E501
        self.stub = kernel_pb2_grpc.KernelServiceStub(self.channel)
        self.admin = admin_pb2_grpc.KernelAdminServiceStub(self.channel)

    @property
    def kernel_address(self) -> str:
        return f"127.0.0.1:{self._kernel_port}"

    @property
    def connect_url(self) -> str:
        return f"http://{self.settings['connect_listen']}"

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self._gateway_port}/webhook"

    async def metrics(self) -> str:
        """The kernel service's metrics."""
        url = f"http://{self.settings['kernel_metrics_listen']}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text()

    # --- processes ----------------------------------------------------------------------------------------------

    async def start_kernel(self) -> None:
        clocks = {"wall": lambda: self.wall(), "monotonic": lambda: self.monotonic()}  # noqa: PLW0108 - tests set them
        serving = serve(KernelSettings(**self.settings), **clocks)
        self.kernel = await self._kernel_parts.enter_async_context(serving)
        self.kernel_serves.set()

    async def stop_kernel(self) -> None:
        self.kernel_serves.clear()
        await self._kernel_parts.aclose()

    async def start_gateway(self) -> None:
        await self._serve_gateway(self._gateway_port)
        self.emulators.whatsapp.webhooks.url = self.webhook_url

    async def start_gateway_behind(self, kernel_address: str) -> None:
        """Create a gateway that uses the kernel service at this address."""
        await self._serve_gateway(self._gateway_port, kernel_address)
        self.emulators.whatsapp.webhooks.url = self.webhook_url

    async def start_mortal_gateway(self, *, beside: bool = False) -> MortalGateway:
        """Start a gateway that can die silently. It gets the webhooks, unless it is `beside` another."""
        port = free_port() if beside else self._gateway_port
        gateway = MortalGateway()
        with gateway.its_tasks():
            gateway.runner = await self._serve_gateway(port)
        if not beside:
            self.emulators.whatsapp.webhooks.url = self.webhook_url
        return gateway

    async def start_another_gateway(self) -> None:
        """Start a second gateway. Webhooks go to both in turn, as behind a load balancer. It ends with the first."""
        port = free_port()
        await self._serve_gateway(port)
        self.emulators.whatsapp.webhooks.url += f",http://127.0.0.1:{port}/webhook"

    async def _serve_gateway(self, port: int, kernel_address: str = "") -> web.AppRunner:
        config = self.emulators.config
        settings = GatewaySettings(
            kernel_address=f"dns:///{kernel_address or self.kernel_address}",
            kernel_token=WHATSAPP_TOKEN,
            whatsapp_access_token=config.whatsapp_access_token,
            whatsapp_app_secret=config.whatsapp_app_secret,
            whatsapp_verify_token=config.whatsapp_verify_token,
            whatsapp_phone_number_id=config.whatsapp_phone_number_id,
            whatsapp_api_base_url=f"{self.emulators.url}/graph",
            whatsapp_chat_url=f"{self.emulators.url}/wa.me",
            whatsapp_messages_per_second=0,  # the emulated WhatsApp is in no hurry to refuse, and the tests are
            otel_exporter_otlp_endpoint=self.settings.get("otel_exporter_otlp_endpoint", ""),
        )
        runner = web.AppRunner(await build_app(settings, accept_seconds=self.accept_seconds), access_log=None)
        await runner.setup()
        self._gateway_parts.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    async def stop_gateway(self) -> None:
        await self._gateway_parts.aclose()

    async def close(self) -> None:
        await self.channel.close()
        await self.stop_gateway()
        await self.stop_kernel()

    # --- time ---------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The time of the emulators and the kernel service, in epoch seconds."""
        return self.emulators.whatsapp.now()

    def pass_time(self, seconds: float) -> None:
        """Let time pass at once, whatever is on its way. Work that is due by it begins within a second."""
        assert self.emulators.clock is not None
        assert self.emulators.time is not None
        self.emulators.clock.advance(seconds)
        self.emulators.time.told()

    # --- people -------------------------------------------------------------------------------------------------

    def phone(self, label: str, name: str = "Sam") -> Phone:
        return self.emulators.whatsapp.add_phone(label, name=name)

    async def ask(self, phone: Phone, text: str) -> ChatMessage:
        """Write, and wait for the next answer."""
        await phone.send(text)
        return await phone.wait_for_message(timeout=60)

    async def person_of(self, phone: Phone) -> str:
        return (await self.kernel_of(phone)).person_id

    async def kernel_of(self, phone: Phone) -> admin_pb2.Kernel:
        request = admin_pb2.GetKernelRequest(person=self.ref(phone))
        return (await self.admin.GetKernel(request, metadata=bearer(ADMIN_TOKEN))).kernel

    async def replies_to(self, phone: Phone) -> list[admin_pb2.ReplyRecord]:
        """The person's turns in an operator's view, newest first."""
        request = admin_pb2.ListRepliesRequest(person=self.ref(phone))
        return list((await self.admin.ListReplies(request, metadata=bearer(ADMIN_TOKEN))).replies)

    def ref(self, phone: Phone) -> admin_pb2.PersonRef:
        return admin_pb2.PersonRef(user_id=f"whatsapp:{phone.user_id}")

    async def evict(self, phone: Phone) -> None:
        """Evict as soon as the last turn has ended. During and after a restart there may be nothing to evict."""
        request = admin_pb2.EvictKernelRequest(person=self.ref(phone))
        while True:
            try:
                await self.admin.EvictKernel(request, metadata=bearer(ADMIN_TOKEN))
            except grpc.aio.AioRpcError as error:
                # A service that ends may cut a call short with any of these.
                ended = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
                if error.code() in {grpc.StatusCode.NOT_FOUND, *ended}:
                    return
                if error.code() is not grpc.StatusCode.ABORTED:
                    raise
            else:
                return

    async def tell(self, user_id: str, text: str, message_id: str, token: str = TELEGRAM_TOKEN) -> Any:
        """Send one INLINE message of another channel."""
        request = messages_pb2.HandleMessageRequest(
            user_id=user_id, message_id=message_id, payload=messages_pb2.Payload(text=text)
        )
        return await self.stub.HandleMessage(request, metadata=bearer(token), timeout=60)


@asynccontextmanager
async def whole_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    kernel_port = free_port()
    config = Config(
        emulators_listen="127.0.0.1:0",
        kernel_address=f"127.0.0.1:{kernel_port}",
        kernel_admin_token=ADMIN_TOKEN,
        kernel_token=WHATSAPP_TOKEN,
        kernel_emulated_clock=folder / "clock",
    )
    async with Emulators.start(config) as emulators:
        emulators.whatsapp.webhooks.backoff = lambda _: 0.05
        world = World(emulators, kernel_port, folder, settings)
        if not (folder / "kernel.db").exists() and "kernel_encryption_keys" not in settings:
            await copy_migrated(folder / "kernel.db")
        try:
            await world.start_kernel()
            await world.start_gateway()
            yield world
        finally:
            await world.close()
