"""Each numeric setting of both services has a range, and a value beyond it is refused by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from kernel_service import config as kernel_service
from serving.ranges import Range
from whatsapp_gateway import config as whatsapp_gateway

if TYPE_CHECKING:
    from types import ModuleType

    from pydantic.fields import FieldInfo

SERVICES: list[ModuleType] = [kernel_service, whatsapp_gateway]
NUMBERS = [
    pytest.param(service, name, field, id=name)
    for service in SERVICES
    for name, field in service.Settings.model_fields.items()
    if field.annotation in {int, float}
]
each_number = pytest.mark.parametrize(("service", "name", "field"), NUMBERS)


def range_of(field: FieldInfo) -> Range:
    (found,) = [each for each in field.metadata if isinstance(each, Range)]
    return found


def problems_of(service: ModuleType, name: str, value: object) -> list[str]:
    """Those that name the setting; secrets are missing, too."""
    with pytest.raises(ValidationError) as refused:
        service.Settings(**{name: value})
    return [line for line in service.problems(refused.value) if line.startswith(f"{name.upper()} ")]


@each_number
def test_the_bounds_and_the_default_are_accepted(service: ModuleType, name: str, field: FieldInfo) -> None:
    allowed = range_of(field)
    for value in (allowed.least, allowed.most, field.default, *([0] if allowed.or_zero else [])):
        assert problems_of(service, name, value) == []
    assert math.isfinite(allowed.most)
    assert allowed.least > 0 or not allowed.or_zero


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1e400", 1e300, -1, -1e-300])
@each_number
def test_no_number_is_accepted_as_endless_or_negative(
    service: ModuleType, name: str, field: FieldInfo, value: object
) -> None:
    (problem,) = problems_of(service, name, value)
    if field.annotation is float:
        assert problem == f"{name.upper()} must be {range_of(field)}"


@each_number
def test_a_number_beyond_its_range_is_refused_with_the_range(service: ModuleType, name: str, field: FieldInfo) -> None:
    allowed = range_of(field)
    beyond: list[float] = [allowed.most + 1, allowed.least - 1]
    if field.annotation is float and allowed.least > 0:
        beyond.append(1e-300)
    for value in beyond:
        if value or not allowed.or_zero:
            assert problems_of(service, name, value) == [f"{name.upper()} must be {allowed}"]
