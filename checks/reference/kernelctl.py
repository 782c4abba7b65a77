"""docs/reference/kernelctl.md: the commands of `kernelctl`, their arguments and options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from checks.reference.markdown import item, paragraphs
from checks.reference.markdown import page as written
from kernelctl.kernelctl import main

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# kernelctl

`kernelctl` is the operator's command. Most commands ask a running kernel service through its `KernelAdminService`. They
print JSON, or a table of nodes, usage and keys, and never what a person said. [Set up and
check](../how-to/set-up-and-check.md) and [Read an incident](../how-to/incidents.md) show its use."""
_EXITS = """\
## Exit codes

`doctor` names its exit codes above. Those of the other commands:

- 0: done.
- 1: the service refused the call, or was not reached; stderr has the gRPC status and a sentence.
- 2: the command line or a setting is wrong; stderr says what to do."""


def page() -> str:
    context = click.Context(main, info_name="kernelctl")
    return written(
        "the commands",
        _INTRODUCTION,
        paragraphs(main.help or ""),
        *_options(main, context),
        *(part for name in main.list_commands(context) for part in _section(name, main.commands[name], context)),
        _EXITS,
    )


def _section(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield f"## {name}"
    pieces = command.collect_usage_pieces(context)
    yield f"`{' '.join(['kernelctl', name, *pieces])}`".replace(
        " [OPTIONS]", " [OPTIONS]" if _listed(command, context) else ""
    )
    yield paragraphs(command.help or "")
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            yield from _section(f"{name} {child}", command.commands[child], context)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    if listed := [_option(each, context) for each in _listed(command, context)]:
        yield "\n".join(listed)


def _listed(command: click.Command, context: click.Context) -> list[click.Option]:
    """All but `--help`."""
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    return [each for each in options if not each.hidden and "--help" not in each.opts]


def _option(option: click.Option, context: click.Context) -> str:
    names = "/".join([*option.opts, *option.secondary_opts])
    extra = option.get_help_extra(context)
    bounds = option.type if isinstance(option.type, click.IntRange) else None
    value = "" if option.is_flag else f" {'NUMBER' if bounds else option.make_metavar(context)}"
    facts = [
        *([f"from {bounds.min} to {bounds.max}"] if bounds else []),
        *([f"default: `{extra['default']}`"] if "default" in extra else []),
        *([f"environment: `{option.envvar}`"] if option.envvar else []),
        *(["required"] if option.required else []),
    ]
    return item(f"`{names}{value}`", f"({', '.join(facts)})." if facts else "", paragraphs(option.help or ""))
