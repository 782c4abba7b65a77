"""`make run`, `kernel-per-person`: run both services on SQLite until Ctrl-C.

Emulators replace the vendors that have no key in the .env of the working directory.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from local_run.keys import unwritable
from local_run.kills import Kills
from local_run.output import OUTPUT, say
from local_run.plan import LocalRun, Service, plan
from local_run.process import Process
from local_run.setting_names import unknown_names
from serving.listening import Address
from serving.private_files import close_file

_BAD_SETTINGS = 2
_NO_OUTPUT = 2


def main() -> int:
    try:
        close_file(Path(".env"))
        run = plan(Path(), os.environ)
    except ValueError as wrong:
        print(wrong, file=sys.stderr)
        return _BAD_SETTINGS
    except OSError as refused:
        print(
            f"{refused.filename}: {refused.strerror}. The local run reads .env, and keeps its keys and its database in"
            " the folder var: this user needs the rights to both.",
            file=sys.stderr,
        )
        return _BAD_SETTINGS
    if problem := unwritable(Path("var")):
        print(problem, file=sys.stderr)
        return _BAD_SETTINGS
    occupied = [problem for setting, address in run.listens.items() if (problem := _occupied(setting, address))]
    if occupied:
        print(*occupied, sep="\n", file=sys.stderr)
        if len(occupied) == len(run.listens):
            print("Probably another local run serves here already.", file=sys.stderr)
        return _BAD_SETTINGS
    return asyncio.run(_until_signalled(run))


def _occupied(setting: str, address: str) -> str:
    host, port = Address.parse(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as problem:
        # Python adds the address to the reason, in another form.
        reason = str(problem.strerror).partition(" (while")[0]
        return (
            f"{setting}: cannot listen on {address} ({reason}). "
            f"End what listens there, or name another host:port for {setting} in .env."
        )
    return ""


async def _until_signalled(run: LocalRun) -> int:
    told = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, told.set)
    for emulated in run.emulated:
        vendor = emulated.vendor
        say(f"!!! {vendor.key} is not in .env: an EMULATOR replaces {emulated.name}; {vendor.instead}.")
    naming = asyncio.create_task(_name_unknown_settings())  # meanwhile, since it takes as long as a start
    code = await serve(run.services, told, ready=lambda: say(f"\n{_greeting(run)}\n"))
    naming.cancel()
    return _NO_OUTPUT if OUTPUT.has_failed else code


async def _name_unknown_settings() -> None:
    for line in await unknown_names(Path(), os.environ):
        say(f"!!! {line}")


async def serve(services: Sequence[Service], told: asyncio.Event, ready: Callable[[], None]) -> int:
    """Run all services until `told` is set, or until one exits by itself. `ready` is called once all are ready.

    They are stopped in the reverse order of their start. Returns 0 after `told`; otherwise the exit code of the service
    that exited by itself, or 1.
    """
    async with AsyncExitStack() as running:
        ours, theirs = socket.socketpair()
        running.callback(ours.close)
        processes = []
        for service in services:
            processes.append(await _started(service, theirs))
            running.push_async_callback(processes[-1].end)
        theirs.close()
        kills = asyncio.create_task(_serve_kills(services, processes, ours))
        running.callback(kills.cancel)
        waiting = asyncio.create_task(_when_ready(processes, ready))
        running.callback(waiting.cancel)
        endings = [asyncio.create_task(told.wait()), *(process.ended for process in processes)]
        await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
        if told.is_set():
            say("Ending …")
            return 0
        return _blame(processes)


async def _when_ready(processes: list[Process], ready: Callable[[], None]) -> None:
    async with aiohttp.ClientSession() as session:
        for process in processes:
            try:
                await process.ready(session)
            except TimeoutError:
                say(f"!!! {process.name} is still not ready; its lines above say why.")
                return
    ready()


async def _started(service: Service, asking: socket.socket) -> Process:
    if not service.may_kill:
        return await Process.start(service)
    return await Process.start(service, {"EMULATORS_KILLS_FD": str(asking.fileno())}, [asking.fileno()])


async def _serve_kills(services: Sequence[Service], processes: Sequence[Process], asked: socket.socket) -> None:
    others = [process for process, service in zip(processes, services, strict=True) if not service.may_kill]
    reader, writer = await asyncio.open_connection(sock=asked)
    try:
        await Kills(others).serve(reader, writer)
    finally:
        writer.close()


def _blame(processes: list[Process]) -> int:
    process = next(process for process in processes if process.ended.done())
    code = process.ended.result()
    say(f"{process.name} ended with exit code {code}; its last lines say why. Ending the others …")
    return code if code > 0 else 1


def _greeting(run: LocalRun) -> str:
    if any(emulated.name == "WhatsApp" for emulated in run.emulated):
        return f"Ready. Open {run.page_url} and write from a phone. Ctrl-C ends everything."
    return (
        f"Ready. WhatsApp's webhook is {run.webhook_url}; make it reachable by https (a tunnel, a proxy).\n"
        "In Meta's app dashboard, WhatsApp > Configuration: enter https://<your host>/webhook as callback\n"
        "URL and your WHATSAPP_VERIFY_TOKEN, subscribe to `messages`, and write to your number.\n"
        "Ctrl-C ends everything."
    )


if __name__ == "__main__":
    sys.exit(main())
