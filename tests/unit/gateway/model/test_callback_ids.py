import pytest

from whatsapp_gateway.model.callback_ids import PartName, part_named


def test_a_callback_id_names_its_part() -> None:
    assert part_named(str(PartName("rp_01ABC", 2, 3))) == PartName("rp_01ABC", 2, 3)


@pytest.mark.parametrize(
    "callback_id", ["", "rp_1", "rp_1/0/1", "rp_1/1/1000", "rp_1/1/1/1", "other/1/1", "rp_1/-1/1", "rp_1/\u0661/1"]
)
def test_a_foreign_callback_id_names_no_part(callback_id: str) -> None:
    assert part_named(callback_id) is None
