"""Parses a request's body and query into their models, or refuses them as Composio does."""

from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from emulators.composio.errors import of_shape

Shape = TypeVar("Shape", bound=BaseModel)
# The vendor accepts these as users, but a service that sends one would mix people up.
RESERVED_USER_IDS = ("", "default", "default_user")


def body(shape: type[Shape], value: Any) -> Shape:
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise of_shape(error) from None


def query(shape: type[Shape], request: web.Request) -> Shape:
    try:
        return shape.model_validate(dict(request.query))
    except ValidationError as error:
        raise of_shape(error, "query") from None
