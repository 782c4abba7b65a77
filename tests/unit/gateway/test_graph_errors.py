import pytest

from whatsapp_gateway.graph_errors import Remedy, remedy_for

EXPECTED = {
    Remedy.RETRY: (2, 4, 80007, 130429, 131000, 131016, 131057, 133004),
    Remedy.SLOW_DOWN: (131056,),
    Remedy.HALT: (
        0,
        3,
        10,
        33,
        190,
        200,
        250,
        299,
        368,
        130497,
        131005,
        131031,
        131037,
        131042,
        131045,
        131048,
        131064,
        133010,
    ),
    Remedy.WAIT_FOR_PERSON: (131047,),
    Remedy.UPLOAD_AGAIN: (131052, 131053),
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
def test_a_known_code_counts_whatever_the_status(remedy: Remedy, code: int) -> None:
    assert [remedy_for(code, status) for status in (400, 401, 429, 500)] == [remedy] * 4


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (400, Remedy.GIVE_UP),
        (404, Remedy.GIVE_UP),
        (401, Remedy.HALT),
        (403, Remedy.HALT),
        (429, Remedy.RETRY),
        (500, Remedy.RETRY),
        (503, Remedy.RETRY),
    ],
)
def test_an_unknown_code_counts_by_the_status(status: int, remedy: Remedy) -> None:
    assert remedy_for(None, status) is remedy
    assert remedy_for(987654, status) is remedy


def test_an_unknown_number_is_the_operators_fault_and_a_wrong_parameter_the_messages() -> None:
    assert remedy_for(100, 400, subcode=33) is Remedy.HALT
    assert remedy_for(100, 400, subcode=2494010) is Remedy.GIVE_UP
