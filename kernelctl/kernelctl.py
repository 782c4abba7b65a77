"""`kernelctl`: set-up and checks; what is running, why a message was not answered, identities, usage.

It never shows message content; `export` writes it to files. Answers of the service are JSON, except tables for nodes,
usage and keys. That a list is empty is said on stderr as well.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import grpc
from google.protobuf.json_format import MessageToJson
from google.type import date_pb2
from kernel.v1 import admin_pb2, admin_pb2_grpc

from kernelctl import deletion, exporting, tables, terminal
from kernelctl.doctor import doctor
from kernelctl.init.command import init
from serving.exposure import OTHERWISE
from serving.loopback import keeps_to_loopback
from serving.pem_files import check_authority
from serving.secret_files import file_setting, secret_from
from serving.tls_problems import tls_problem
from serving.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

SECONDS = 10.0
DELETION_SECONDS = 600.0
"""A deletion continues without its caller, but an operator wants to know its end."""
_TOKEN = "KERNEL_ADMIN_TOKEN"  # noqa: S105 - the setting's name
_DAY = click.DateTime(formats=["%Y-%m-%d"])
# http_proxy is meant for the vendors. A record of an export may be large.
_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1))


class Admin:
    """One call to the admin service at a time."""

    def __init__(self, address: str, token: str, tls_ca: Path | None) -> None:
        if tls_ca is None:
            channel = grpc.insecure_channel(address, options=_OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(tls_ca.read_bytes())
            channel = grpc.secure_channel(address, credentials, options=_OPTIONS)
        self._stub = admin_pb2_grpc.KernelAdminServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._address = address
        self._tls_ca = tls_ca

    def show(self, rpc: str, request: Message) -> None:
        """Call and print the answer, or `done` if the answer is empty."""
        answer = self.ask(rpc, request)
        told = MessageToJson(answer, preserving_proto_field_name=True) if answer.DESCRIPTOR.fields else "done"
        click.echo(told)

    def show_list(self, rpc: str, request: Message, rows: str) -> None:
        """As `show()`, for a list of `rows`. An empty one is JSON too, and in words on stderr."""
        answer = self.ask(rpc, request)
        is_empty = not any(field.is_repeated for field, _ in answer.ListFields())
        if is_empty:
            click.echo(f"There are no {rows}.", err=True)
        click.echo(
            MessageToJson(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=is_empty)
        )

    def ask(self, rpc: str, request: Message, seconds: float = SECONDS) -> Any:
        """The answer. The text of an error goes to stderr, with exit code 1."""
        try:
            return getattr(self._stub, rpc)(request, metadata=self._metadata, timeout=seconds)
        except grpc.RpcError as error:
            self._refused(error)

    def pages(self, rpc: str, request: Any) -> Iterator[Any]:
        """Every page of a list. Errors as in `ask()`."""
        while True:
            page = self.ask(rpc, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def follow(self, rpc: str, request: Message) -> Iterator[Any]:
        """The answers of a long-running call. Errors as in `ask()`."""
        try:
            yield from getattr(self._stub, rpc)(request, metadata=self._metadata)
        except grpc.RpcError as error:
            self._refused(error)

    def _refused(self, error: Any) -> NoReturn:
        code = error.code()
        is_unheard = code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        problem = asyncio.run(tls_problem(self._address, self._tls_ca)) if is_unheard else None
        told = f"{problem.text}. {problem.fix}" if problem else error.details()
        click.echo(f"kernelctl: {code.name}: {told}", err=True)
        sys.exit(1)


def _person(who: str) -> admin_pb2.PersonRef:
    """`p_…` is a person, `<channel>:<id>` an id of a channel."""
    if ":" not in who and not who.startswith("p_"):
        raise click.BadParameter(f"{who} is neither a person (p_…) nor an id of a channel (whatsapp:US.…)")
    return admin_pb2.PersonRef(user_id=who) if ":" in who else admin_pb2.PersonRef(person_id=who)


def paged(command: Callable[..., None]) -> Callable[..., None]:
    """A list command whose answer may contain a `next_page_token`."""
    rows = click.IntRange(1, 1000)
    size = click.option("--page-size", type=rows, default=100, show_default=True, help="How many rows.")
    token = click.option("--page-token", default="", help="The next_page_token of the previous page.")
    return size(token(command))


def _token() -> str:
    try:
        token = secret_from(os.environ, _TOKEN) or os.environ.get(_TOKEN)
    except ValueError as problem:
        raise click.UsageError(f"{_TOKEN} {problem}") from None
    if not token:
        raise click.UsageError(
            f"the admin token is missing: set {_TOKEN}, or {file_setting(_TOKEN)}, or --token;"
            " `make run` keeps it in var/keys.env"
        )
    return token


@dataclass(frozen=True, slots=True)
class Connection:
    """How the commands that ask the service reach it. `doctor` and `init` need none of it. `token`: "" if not given."""

    address: str
    token: str
    tls_ca: Path | None
    allow_insecure: bool

    def admin(self) -> Admin:
        """Raises UsageError if the token is missing or could be read in transit, or the authority's file is bad."""
        token = self.token or _token()
        if self.tls_ca is None and not keeps_to_loopback(self.address) and not self.allow_insecure:
            raise click.UsageError(
                f"{self.address} leads to another machine, so the admin token could be read in transit: set --tls-ca "
                f"(KERNEL_TLS_CA). {OTHERWISE}"
            )
        if self.tls_ca is not None:
            try:
                check_authority(self.tls_ca)
            except ValueError as problem:
                raise click.UsageError(f"--tls-ca (KERNEL_TLS_CA): {self.tls_ca} {problem}") from None
        return Admin(self.address, token, self.tls_ca)


def pass_admin(command: Callable[..., None]) -> Callable[..., None]:
    """Pass the admin service as the first argument."""

    @click.pass_obj
    @wraps(command)
    def run(connection: Connection, *args: Any, **options: Any) -> None:
        command(connection.admin(), *args, **options)

    return run


class Commands(click.Group):
    """The first sentence of each command is shown whole, on several lines if need be.

    Output that cannot be written, as to a full disk, ends a command with one line on stderr and exit code 2. A closed
    pipe ends it without a word, and with the exit code of a program that SIGPIPE ends: click's 1 would be findings.
    """

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with terminal.ends_with_its_reader():  # it prints the help
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with terminal.ends_with_its_reader():
            return super().invoke(ctx)

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            return super().main(*args, **options)
        except OSError as problem:
            if not terminal.is_of_output(problem):
                raise
            terminal.discard_output()
            with suppress(OSError):  # stderr may go to the same disk
                click.echo(f"kernelctl: the output cannot be written: {problem.strerror}", err=True)
            sys.exit(2)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(limit=200)) for name, each in commands if each])


@click.group(cls=Commands)
@click.version_option(VERSION, prog_name="kernelctl")
@click.option(
    "--address",
    envvar="KERNEL_ADDRESS",
    default="dns:///localhost:50051",
    show_default=True,
    help="The kernel service: any node of it.",
)
@click.option("--token", default="", help=f"By default {_TOKEN}, or the content of {file_setting(_TOKEN)}.")
@click.option(
    "--tls-ca",
    envvar="KERNEL_TLS_CA",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The authority of the service's certificate, in PEM.",
)
@click.option(
    "--allow-insecure",
    envvar="KERNEL_ALLOW_INSECURE",
    is_flag=True,
    help="Send the token to another machine without TLS.",
)
@click.pass_context
def main(context: click.Context, address: str, token: str, tls_ca: Path | None, *, allow_insecure: bool) -> None:
    """Set up, check, and query a running kernel service.

    `init` and `doctor` work without a running service and without a token. The argument WHO of the other commands is a
    person (p_…) or an id of a channel (whatsapp:US.…).
    """
    context.obj = Connection(address, token, tls_ca, allow_insecure)


main.add_command(init)
main.add_command(doctor)


@main.command()
@pass_admin
def nodes(admin: Admin) -> None:
    """Show the live nodes: where each is reached, what it holds, and which one does the periodic work."""
    listed = admin.pages("ListNodes", admin_pb2.ListNodesRequest())
    click.echo(tables.nodes(node for page in listed for node in page.nodes))


@main.command()
@paged
@pass_admin
def kernels(admin: Admin, page_size: int, page_token: str) -> None:
    """List the kernels in memory, each with its node, and count evictions."""
    admin.show_list(
        "ListKernels", admin_pb2.ListKernelsRequest(page_size=page_size, page_token=page_token), "kernels in memory"
    )


@main.command()
@click.argument("who")
@pass_admin
def kernel(admin: Admin, who: str) -> None:
    """Show one person's kernel, resident or not, and their connections."""
    admin.show("GetKernel", admin_pb2.GetKernelRequest(person=_person(who)))


@main.command()
@click.argument("who")
@pass_admin
def evict(admin: Admin, who: str) -> None:
    """Take an idle kernel out of memory, without an effect for the person."""
    admin.show("EvictKernel", admin_pb2.EvictKernelRequest(person=_person(who)))


@main.command()
@click.argument("who")
@pass_admin
def reset(admin: Admin, who: str) -> None:
    """Reset a person's model context: the model sees no earlier messages. Everything stays stored."""
    admin.show("ResetContext", admin_pb2.ResetContextRequest(person=_person(who)))


@main.command()
@click.argument("who")
@click.argument("other")
@pass_admin
def merge(admin: Admin, who: str, other: str) -> None:
    """Merge two people permanently: the newer one into the older one, with all connections."""
    admin.show("MergePersons", admin_pb2.MergePersonsRequest(first=_person(who), second=_person(other)))


@main.command()
@click.argument("who")
@click.option("--yes", is_flag=True, help="Do not ask for the person's id.")
@pass_admin
def delete(admin: Admin, who: str, *, yes: bool) -> None:
    """Delete a person permanently: all that is stored of them, and their accounts at the tools' vendor."""
    person = _person(who)
    if not yes:
        kernel = admin.ask("GetKernel", admin_pb2.GetKernelRequest(person=person)).kernel
        click.echo(deletion.warning(kernel))
        if click.prompt(f"Type {kernel.person_id} to delete this person").strip() != kernel.person_id:
            click.echo("kernelctl: that is another id, so nothing was deleted", err=True)
            sys.exit(1)
        person = admin_pb2.PersonRef(person_id=kernel.person_id)
    click.echo(
        deletion.deleted(admin.ask("DeletePerson", admin_pb2.DeletePersonRequest(person=person), DELETION_SECONDS))
    )


@main.command()
@click.argument("who")
@paged
@pass_admin
def turns(admin: Admin, who: str, page_size: int, page_token: str) -> None:
    """List a person's turns, newest first, and the waiting messages."""
    request = admin_pb2.ListTurnsRequest(person=_person(who), page_size=page_size, page_token=page_token)
    admin.show_list("ListTurns", request, "turns and no waiting messages")


@main.command()
@click.argument("who")
@paged
@pass_admin
def replies(admin: Admin, who: str, page_size: int, page_token: str) -> None:
    """List a person's replies, newest first, with the delivery state of their parts."""
    request = admin_pb2.ListRepliesRequest(person=_person(who), page_size=page_size, page_token=page_token)
    admin.show_list("ListReplies", request, "replies")


@main.command()
@click.argument("who")
@paged
@pass_admin
def schedules(admin: Admin, who: str, page_size: int, page_token: str) -> None:
    """List a person's schedules without their requests, oldest first."""
    request = admin_pb2.ListPersonSchedulesRequest(person=_person(who), page_size=page_size, page_token=page_token)
    admin.show_list("ListPersonSchedules", request, "schedules")


@main.command()
@click.argument("who")
@click.argument("schedule_id")
@pass_admin
def unschedule(admin: Admin, who: str, schedule_id: str) -> None:
    """Delete a schedule (s_…) of a person."""
    request = admin_pb2.DeletePersonScheduleRequest(person=_person(who), schedule_id=schedule_id)
    admin.show("DeletePersonSchedule", request)


@main.command()
@click.argument("who", required=False)
@paged
@pass_admin
def dead(admin: Admin, who: str | None, page_size: int, page_token: str) -> None:
    """List the dead letters of one person or of all people, newest first."""
    person = _person(who) if who else None
    request = admin_pb2.ListDeadLettersRequest(person=person, page_size=page_size, page_token=page_token)
    admin.show_list("ListDeadLetters", request, "dead letters")


@main.command()
@click.argument("dead_letter_id")
@pass_admin
def requeue(admin: Admin, dead_letter_id: str) -> None:
    """Run a dead letter (dl_…) again, in a turn alone."""
    admin.show("RequeueDeadLetter", admin_pb2.RequeueDeadLetterRequest(dead_letter_id=dead_letter_id))


@main.command()
@click.argument("who", required=False)
@click.option(
    "--from",
    "from_day",
    type=_DAY,
    metavar="DAY",
    default=lambda: _day(-6),
    help="For example 2026-11-30; by default a week ago.",
)
@click.option("--to", "to_day", type=_DAY, metavar="DAY", default=lambda: _day(0), help="By default today.")
@pass_admin
def usage(admin: Admin, who: str | None, from_day: datetime, to_day: datetime) -> None:
    """Show usage by day (UTC), of one person or of all together: tokens, and the calls of each tool."""
    person = _person(who) if who else None
    days = {"from_day": _date(from_day), "to_day": _date(to_day)}
    spent = admin.ask("GetUsage", admin_pb2.GetUsageRequest(person=person, **days))
    if not spent.days:
        return click.echo(f"There is no usage from {from_day:%Y-%m-%d} to {to_day:%Y-%m-%d}.")
    click.echo(tables.tokens(spent))
    if tools := tables.tools(spent):
        click.echo(f"\n{tools}")
    return None


@main.command()
@click.argument("who")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="FOLDER",
    help="A folder that does not exist yet, or is empty.",
)
@pass_admin
def export(admin: Admin, who: str, into: Path) -> None:
    """Write everything that is stored of a person to a folder: person.jsonl with a record a line, and files."""
    exporting.export(admin.follow("ExportPerson", admin_pb2.ExportPersonRequest(person=_person(who))), into)


@main.command()
@pass_admin
def keys(admin: Admin) -> None:
    """Show the master keys by id: the current one, what each one seals, and which may be removed."""
    listed = list(admin.pages("ListKeys", admin_pb2.ListKeysRequest()))
    click.echo(tables.keys(key for page in listed for key in page.keys))
    if unbound := listed[-1].unbound_persons:
        click.echo(f"\nkernelctl rotate must still bind the values of {unbound:,} people to their rows.")


@main.command()
@pass_admin
def rotate(admin: Admin) -> None:
    """Reseal everything with the current master key, while the service runs. Run it again after an interruption."""
    done = admin_pb2.RotateKeysResponse()
    for done in admin.follow("RotateKeys", admin_pb2.RotateKeysRequest()):
        click.echo(f"{tables.rotated(done)} …", err=True)
    click.echo(tables.rotated(done))
    listed = admin.pages("ListKeys", admin_pb2.ListKeysRequest())
    if removable := ", ".join(key.key_id for page in listed for key in page.keys if key.removable):
        click.echo(f"May be removed from KERNEL_ENCRYPTION_KEYS now: {removable}")
    if done.unreadable:
        click.echo("Values that do not open stay unchanged, and their keys stay in use.")


def _date(day: datetime) -> date_pb2.Date:
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def _day(after_today: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=after_today)).isoformat()
