"""The checks by which OpenAI refuses a request's tools: duplicate names, and schemas that a function cannot have."""

import json
from functools import lru_cache
from typing import Any, Final

from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]

from emulators.openai.errors import refused
from emulators.openai.wire import ChosenFunction, CreateRequest, FunctionTool
from emulators.vendor import RefusedError

_NOT_AT_THE_TOP: Final = ("oneOf", "anyOf", "allOf", "enum", "not")


def check_tools(request: CreateRequest) -> None:
    names: set[str] = set()
    for number, tool in enumerate(request.tools or []):
        if tool.name in names:
            raise refused(
                f"Duplicate tool name found: '{tool.name}'. Tool names must be unique.",
                param=f"tools[{number}].name",
                code="invalid_value",
            )
        names.add(tool.name)
        _check_parameters(number, tool)
    choice = request.tool_choice
    if isinstance(choice, ChosenFunction) and choice.name not in names:
        raise refused(f"Tool choice '{choice.name}' not found in 'tools' parameter.", param="tool_choice")
    if choice == "required" and not names:
        raise refused("Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")


def _check_parameters(number: int, tool: FunctionTool) -> None:
    problem = None if tool.parameters is None else problem_of(tool.parameters, strict=bool(tool.strict))
    if problem is not None:
        raise refused(
            f"Invalid schema for function '{tool.name}': {problem}",
            param=f"tools[{number}].parameters",
            code="invalid_function_parameters",
        )


def problem_of(schema: dict[str, Any], *, strict: bool) -> str | None:
    """The fault of a schema, in OpenAI's wording; None if it is valid."""
    if schema.get("type") != "object":
        got = "None" if "type" not in schema else "null" if schema["type"] is None else schema["type"]
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{got}\"'."
    if any(name in schema for name in _NOT_AT_THE_TOP):
        return "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
    if "properties" not in schema:
        return "In context=(), object schema missing properties."
    invalid = _invalid(json.dumps(schema))
    return invalid or _unresolved(schema) or _without_items(schema, ()) or (_not_strict(schema) if strict else None)


@lru_cache(maxsize=1000)
def _invalid(schema: str) -> str | None:
    """Returns what JSON Schema itself refuses. It takes milliseconds, and each request brings the same schemas."""
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        return str(error.message)
    return None


def _unresolved(schema: dict[str, Any]) -> str | None:
    """A reference without a target, or one that refers only to itself."""
    for reference in _references(schema):
        seen: set[str] = set()
        at: Any = reference
        while at:
            found = _pointed(schema, at)
            if at in seen or found is None:
                return f"reference to component '{reference}' which was not found in the schema."
            seen.add(at)
            at = found.get("$ref") if isinstance(found, dict) else None
    return None


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [each for part in value for each in _references(part)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [each for part in value.values() for each in _references(part)]


def _pointed(schema: dict[str, Any], reference: str) -> Any:
    found: Any = schema
    for part in filter(None, reference.removeprefix("#").split("/")):
        found = found.get(part) if isinstance(found, dict) else None
    return found if reference.startswith("#") else None


def _without_items(schema: Any, context: tuple[str, ...]) -> str | None:
    """An array without a schema of its items."""
    if not isinstance(schema, dict):
        return None
    kind = schema.get("type")
    if (kind == "array" or (isinstance(kind, list) and "array" in kind)) and "items" not in schema:
        return f"In context={context}, array schema missing items."
    inner = [((*context, "properties", name), each) for name, each in schema.get("properties", {}).items()]
    inner += [((*context, "$defs", name), each) for name, each in schema.get("$defs", {}).items()]
    inner.append(((*context, "items"), schema.get("items")))
    for name in ("anyOf", "oneOf", "allOf"):
        inner += [((*context, name, str(place)), each) for place, each in enumerate(schema.get(name, []))]
    return next(filter(None, (_without_items(each, place) for place, each in inner)), None)


def _not_strict(schema: dict[str, Any]) -> str | None:
    """The reason why strict mode refuses a schema. It needs closed objects with every property required."""
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "In context=(), 'additionalProperties' is required to be supplied and to be false."
        properties = schema.get("properties", {})
        missing = [name for name in properties if name not in schema.get("required", [])]
        if missing:
            return (
                "In context=(), 'required' is required to be supplied and to be an array including every "
                f"key in properties. Missing '{missing[0]}'."
            )
        return next(filter(None, map(_not_strict, properties.values())), None)
    items = schema.get("items")
    return _not_strict(items) if isinstance(items, dict) else None


def refusal_of(name: str, number: int, form: str) -> RefusedError:
    """The refusal of a schema for no visible reason. `form` is the way in which the server names the tool.

    Forms: OpenAI's Responses API, its Chat Completions API, servers that name it only in the message (LiteLLM in front
    of Gemini), and a server that does not name it.
    """
    message = f"Invalid schema for function '{name}': In context=('properties', 'x'), this is not allowed."
    code = "invalid_function_parameters"
    match form:
        case "responses":
            return refused(message, param=f"tools[{number}].parameters", code=code)
        case "chat":
            return refused(message, param=f"tools[{number}].function.parameters", code=code)
        case "words":
            return refused(f"litellm.BadRequestError: OpenAIException - {message}")
        case "gemini":
            where = f"GenerateContentRequest.tools[0].function_declarations[{number}].parameters.properties"
            return refused(f"* {where}: should be non-empty for OBJECT type")
    return refused("Invalid function parameters.", code=code)
