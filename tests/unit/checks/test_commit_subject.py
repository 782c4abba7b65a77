"""Which subjects of commits are accepted."""

import pytest

from checks.commit_subject import problem


@pytest.mark.parametrize(
    "subject", ["outbox: extend leases", "README: name the ports", "api, protos: add limits", "Revert x"]
)
def test_a_subject_with_an_area_is_accepted(subject: str) -> None:
    assert problem(subject) == ""


@pytest.mark.parametrize(
    ("subject", "advice"),
    [
        ("Extend leases", "area"),
        ("outbox:", "area"),
        ("outbox:extend", "area"),
        ("", "area"),
        ("outbox: extend leases.", "period"),
        ("outbox: " + "x" * 53, "61 characters"),
    ],
)
def test_any_other_subject_is_refused_with_advice(subject: str, advice: str) -> None:
    assert advice in problem(subject)
