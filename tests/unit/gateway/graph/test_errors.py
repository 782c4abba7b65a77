import pytest

from whatsapp_gateway.graph.errors import Remedy, remedy_for
from whatsapp_gateway.graph.retry_policy import remedy_of_status

EXPECTED = {
    Remedy.RETRY: (1, 2, 4, 80007, 130429, 131000, 131016, 131057, 133004),
    Remedy.BACK_OFF: (131056,),
    Remedy.OPEN_CIRCUIT: (
        0,
        3,
        10,
        33,
        190,
        200,
        250,
        299,
        368,
        131005,
        131031,
        131037,
        131042,
        131045,
        131048,
        131064,
        133010,
    ),
    Remedy.HOLD_PERSON: (130497,),
    Remedy.WAIT_FOR_WINDOW: (131047,),
    Remedy.REUPLOAD: (131052, 131053),
    Remedy.GIVE_UP: (
        100,
        131008,
        131009,
        131021,
        131026,
        131030,
        131049,
        131050,
        131051,
        131062,
        130472,
        132001,
        132015,
        135000,
    ),
}


@pytest.mark.parametrize(("remedy", "code"), [(remedy, code) for remedy, codes in EXPECTED.items() for code in codes])
def test_a_known_code_counts_with_any_status(remedy: Remedy, code: int) -> None:
    assert [remedy_for(code, status) for status in (400, 401, 429, 500)] == [remedy] * 4


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (400, Remedy.GIVE_UP),
        (404, Remedy.GIVE_UP),
        (401, Remedy.OPEN_CIRCUIT),
        (403, Remedy.OPEN_CIRCUIT),
        (408, Remedy.RETRY),
        (429, Remedy.RETRY),
        (500, Remedy.RETRY),
        (503, Remedy.RETRY),
    ],
)
def test_an_unknown_code_counts_by_the_status(status: int, remedy: Remedy) -> None:
    assert remedy_for(987654, status) is remedy


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(status, Remedy.RETRY) for status in (408, 429, 500, 502, 503)]
    + [(status, Remedy.OPEN_CIRCUIT) for status in (301, 302, 307, 400, 401, 403, 404, 405, 407, 421)],
)
def test_an_answer_without_a_code_is_never_final(status: int, remedy: Remedy) -> None:
    assert remedy_for(None, status) is remedy


def test_a_status_without_a_known_code_is_final() -> None:
    assert [remedy_of_status(code) for code in ("", "x", "987654")] == [Remedy.GIVE_UP] * 3


def test_an_unknown_number_needs_an_operator_and_a_wrong_parameter_fails_the_message() -> None:
    assert remedy_for(100, 400, subcode=33) is Remedy.OPEN_CIRCUIT
    assert remedy_for(100, 400, subcode=2494010) is Remedy.GIVE_UP
