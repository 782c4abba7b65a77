"""`python -m tests.crash`: the long run. Prints progress and a row of the README's table. Exits 1 after a fault."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from emulators.effects import Effect
from tests.crash.checker import Kind, Verdict, judge
from tests.crash.databases import Postgres, postgres_server, server
from tests.crash.progress import progress
from tests.crash.storm import SETTLED_SECONDS, Plan, Storm
from tests.crash.system import System
from tests.crash.times import OWN, Times, short

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEBOUNCE_SECONDS = "0.3"
_SHOWN = 40
_COLUMNS = (
    "database",
    "times",
    "gateways",
    "messages",
    "kills: service, gateway, at chosen points",
    "freezes",
    "restarts in order",
    "nodes, joined or left",
    "stops of the database",
    "lost",
    "answered twice",
    "tools run twice",
    "out of order",
    "mixed",
    "sent again without reason",
    "sent again, as stated",
    "given up without fault",
    "settled after",
    "minutes",
)


@click.command()
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--kills", default=200, show_default=True)
@click.option("--messages", default=10_000, show_default=True)
@click.option("--people", default=250, show_default=True)
@click.option("--freezes", default=20, show_default=True)
@click.option("--withheld", default=5, show_default=True, help="Kills during which statuses are withheld.")
@click.option("--restarts", default=20, show_default=True, help="Orderly restarts of the kernel service under bursts.")
@click.option("--gateways", default=2, show_default=True, type=click.IntRange(1, 2), help="Gateways that get webhooks.")
@click.option("--nodes", default=1, show_default=True, help="Kernel services; more than one needs PostgreSQL.")
@click.option("--stops", type=int, help="Stops of the database, of 2 and of 10 s; by default 5 with several nodes.")
@click.option("--resizes", type=int, help="One more node joins, or leaves; by default 10 with several nodes.")
@click.option("--relentless", is_flag=True, help="Kill 1.5 s after each start, however much is unanswered.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--own-times/--short-times",
    default=True,
    show_default=True,
    help="The product's own leases, graces and calls, or those shortened to the two below.",
)
@click.option("--lease", default=5.0, show_default=True, help="Seconds of a reply's lease.")
@click.option("--grace", default=10.0, show_default=True, help="Seconds that an in-doubt reply waits for its status.")
@click.option("--folder", type=click.Path(path_type=Path), help="For logs and the effect log; by default one in /tmp.")
@click.option("--judge", "log", type=click.Path(exists=True, path_type=Path), help="Only check this effect log.")
def main(
    database: str,
    *,
    lease: float,
    grace: float,
    own_times: bool,
    folder: Path | None,
    log: Path | None,
    **numbers: Any,
) -> None:
    """Kill and freeze the product's processes under load, and check the emulators' effect log."""
    if log is not None:
        click.echo(str(progress(_effects(log))))
        sys.exit(_show(judge(_effects(log))))
    for name, count in (("stops", 5), ("resizes", 10)):
        if numbers[name] is None:
            numbers[name] = count if numbers["nodes"] > 1 else 0
    if database == "sqlite" and (numbers["nodes"] > 1 or numbers["stops"]):
        raise click.BadParameter("several nodes and stops need --database postgresql")
    place = folder or Path(tempfile.mkdtemp(prefix="crash-"))
    place.mkdir(parents=True, exist_ok=True)
    if any(place.iterdir()):
        raise click.BadParameter(f"{place} is not empty")
    times = OWN if own_times else short(lease=lease, grace=grace, call=3)
    code = _run(database, Plan(**numbers), times, place)
    if code:
        click.echo(f"the effect log and the logs of the services: {place}")
    elif folder is None:
        shutil.rmtree(place)
    sys.exit(code)


def _run(database: str, plan: Plan, times: Times, folder: Path) -> int:
    click.echo(f"{database}, {plan}")
    click.echo(f"times, in seconds: {times or 'the product’s own'}")
    began = time.monotonic()
    with _database(database, folder) as (url, postgres):
        settings = {"KERNEL_DEBOUNCE_SECONDS": _DEBOUNCE_SECONDS}
        spare = int(plan.resizes > 0)
        both = plan.gateways > 1
        system = System(folder, url, times, settings, both_receive=both, nodes=plan.nodes, spare_nodes=spare)
        storm = Storm(system, plan, click.echo, postgres)
        asyncio.run(_blow(storm))
    log = _effects(system.effects_file)
    verdict = judge(log)
    click.echo(f"progress of the people who waited at each blow to a kernel service: {progress(log)}")
    code = _show(verdict) or int(not storm.over or storm.settled > SETTLED_SECONDS)
    if storm.settled > SETTLED_SECONDS:
        click.echo(f"LATE: not everything was answered {SETTLED_SECONDS} s after the last kill")
    click.echo(_table(database, "own" if times is OWN else "short", storm, verdict, (time.monotonic() - began) / 60))
    return code


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[tuple[str, Postgres | None]]:
    if kind == "sqlite":
        with server(kind, folder) as url:
            yield url, None
    else:
        with postgres_server() as postgres:
            yield postgres.url, postgres


async def _blow(storm: Storm) -> None:
    async with storm.system.running():
        try:
            await storm.blow()
        except TimeoutError:
            click.echo("not everything was answered in time")


def _effects(log: Path) -> list[Effect]:
    return [Effect(**orjson.loads(line)) for line in log.read_bytes().splitlines()]


def _show(verdict: Verdict) -> int:
    for fault in verdict.faults[:_SHOWN]:
        click.echo(f"FAULT {fault}")
    if len(verdict.faults) > _SHOWN:
        click.echo(f"… and {len(verdict.faults) - _SHOWN} more")
    click.echo(
        f"{verdict.messages} messages acknowledged, {verdict.answers} answers, {verdict.tasks} tasks,"
        f" {verdict.model_calls} model calls; said without a token: {dict(verdict.silent)}"
    )
    return 1 if verdict.faults else 0


def _table(database: str, times: str, storm: Storm, verdict: Verdict, minutes: float) -> str:
    struck = storm.struck
    kernel, gateway = struck["kernel_service"], struck["whatsapp_gateway"]
    points = struck["kernel_service at a point"] + struck["whatsapp_gateway at a point"]
    faults = (Kind.LOST, Kind.TWICE, Kind.TOOL_TWICE, Kind.ORDER, Kind.MIXED, Kind.REPEATED)
    stated = ", ".join(f"{count} ({reason})" for reason, count in sorted(verdict.residue.items())) or "0"
    cells = [
        database,
        times,
        str(storm.plan.gateways),
        f"{verdict.messages:,}",
        f"{kernel + gateway + points}: {kernel}, {gateway}, {points}",
        str(struck["frozen"]),
        str(struck["restarted in order"]),
        f"{storm.plan.nodes}, {struck['joined'] + struck['left']}",
        str(struck["database stopped"]),
        *(str(verdict.count(kind)) for kind in faults),
        stated,
        str(verdict.count(Kind.GIVEN_UP)),
        f"{storm.settled:.0f} s",
        f"{minutes:.0f}",
    ]
    rows = (_COLUMNS, ["---"] * len(_COLUMNS), cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
