"""docs/reference/settings.md: each setting of both services, from the fields of their classes."""

from __future__ import annotations

import ast
import inspect
from enum import Enum
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from checks.reference.markdown import page as written
from checks.reference.markdown import paragraphs
from kernel_service.config import Settings as KernelSettings
from serving.listening import Address
from serving.ranges import Range
from serving.secret_files import file_setting, secret_fields
from whatsapp_gateway.config import Settings as GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_INTRODUCTION = """\
# Settings

The services read their settings from the environment; `make run` and `make up` take them from `.env`.
An empty variable counts as unset. A misspelt name is ignored; `kernelctl doctor` finds it in `.env`. A secret `X`
may also be [in a file](../how-to/secret-files.md) that `X_FILE` names.
A service that misses a setting, or cannot use one, names each of them with what to
do, never shows a value, and exits with 2. It never falls back to an emulator."""
_LISTEN = """\
### Forms of an address

Every `*_LISTEN` takes `host:port` or `[IPv6]:port`. `:port` and `[::]:port` mean every interface, IPv6 and IPv4. Port 0
means any free port, which the log then names (not with `make run`).

### Proxies for requests to vendors

`https_proxy`, `http_proxy` or `all_proxy`, and `no_proxy`, in lower or upper case, apply to requests to WhatsApp,
OpenAI and Composio. A proxy is `http://host:port`, with `user:password@` if it requires them. The two services connect
to each other directly."""
_TYPES = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    SecretStr: "secret",
    Path: "path of a file",
    Address: "`host:port`",
}


def page() -> str:
    return written(
        "the settings classes of both services",
        _INTRODUCTION,
        "## Kernel service",
        _required(KernelSettings),
        *(part for concern in _concerns() for part in _section(concern, "###", "####")),
        "## WhatsApp gateway",
        _required(GatewaySettings),
        *list(_section(GatewaySettings, "##", "###"))[1:],
        "## Both",
        _LISTEN,
    )


def _required(settings: type[BaseSettings]) -> str:
    names = [f"[`{name.upper()}`](#{name})" for name, field in settings.model_fields.items() if field.is_required()]
    return f"It needs {', '.join(names[:-1])} and {names[-1]}."


def _concerns() -> list[type[BaseSettings]]:
    """The classes that declare settings."""
    return [
        each
        for each in KernelSettings.__mro__
        if issubclass(each, BaseSettings) and KernelSettings.model_fields.keys() & each.__annotations__.keys()
    ]


def _section(concern: type[BaseSettings], heading: str, subheading: str) -> Iterator[str]:
    yield f"{heading} {(inspect.getdoc(concern) or '').partition('.')[0]}"
    described = descriptions(concern)
    for name in concern.__annotations__:
        if field := concern.model_fields.get(name):
            yield f"{subheading} `{name.upper()}`"
            secret = name in secret_fields(concern)
            yield f"{_form(name, field)}{f'; or `{file_setting(name.upper())}`' if secret else ''}"
            yield paragraphs(described[name])


def descriptions(settings: type) -> dict[str, str]:
    """Field → the text below it. It is read here, and not by the services, whose start it would delay."""
    found = {}
    (parsed,) = ast.parse(dedent(inspect.getsource(settings))).body
    for field, below in pairwise(cast("ast.ClassDef", parsed).body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found


def _form(name: str, field: FieldInfo) -> str:
    """The type, the limits, and the default, as a phrase."""
    ranges = [f" {each}" for each in field.metadata if isinstance(each, Range)]
    kind = "".join([_address(name) or _type(field.annotation), *ranges])
    return f"{kind[0].upper()}{kind[1:]}, {_default(field)}"


def _address(name: str) -> str:
    """The kind of address that the name tells."""
    if name.endswith("_listen"):
        return "`host:port`"
    return "URL" if name.endswith(("_url", "_endpoint")) else ""


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return _one_of(arguments)
    if origin in {Union, UnionType}:
        return _type(next(each for each in arguments if each is not type(None)))
    if origin is tuple:
        return f"{_type(arguments[0])}, or several with commas"
    if issubclass(annotation, Enum):
        return _one_of([each.value for each in annotation])
    return _TYPES[annotation]


def _one_of(values: Any) -> str:
    *others, last = (f"`{each}`" for each in values)
    return f"{', '.join(others)} or {last}"


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined:
        return "**required**"
    match default:
        case SecretStr():
            default = default.get_secret_value()
        case Enum():
            default = default.value
        case bool():
            default = str(default).lower()
    return "optional" if default in {"", None} else f"default `{default}`"
