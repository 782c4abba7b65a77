"""The code in the chat: the right one from the right person, in time, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from emulators.faults import matching
from kernel_service import texts
from kernel_service.connections.consent import CODE_SECONDS
from kernel_service.connections.settled_status import CHECKS
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.connect_attempts import ConnectAttemptState
from tests.unit.composio.fakes import admitted, killed_after

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World

COMPLETE = matching(path="/complete_auth")
NO_CODE = "BBBB-CCCC"


@pytest.fixture(params=[False, True], ids=["without_verifier", "with_verifier"])
def either(world: World, request: pytest.FixtureRequest) -> World:
    world.set_verifier(vendor=request.param, ours=request.param)
    return world


async def test_the_right_code_makes_the_account_usable(either: World) -> None:
    code = await either.code("p_alice")
    assert (await either.confirm("p_alice", code)).told == "Asana is connected."
    [connection] = await either.connections.active("p_alice", "asana")
    assert connection.confirmed_at == either.clock.now
    assert connection.link == "", "a used link is of no use to anyone"
    assert [account.status for account in either.vendor.accounts_of("p_alice")] == ["ACTIVE"]


async def test_a_code_that_comes_twice_is_the_same(either: World) -> None:
    code = await either.code("p_alice")
    confirmed = await asyncio.gather(*(either.confirm("p_alice", code, seq) for seq in range(5)))
    assert {one.told for one in confirmed} == {"Asana is connected."}
    assert len(either.vendor.accounts_of("p_alice")) == 1


async def test_a_link_passed_on_connects_nothing(either: World) -> None:
    """Bob has Alice's link, consents, and sends the code from Bob's chat."""
    code = await either.code("p_alice")
    assert (await either.confirm("p_bob", code)).told == texts.connecting.CODE_OF_ANOTHER
    [(person_id, told)] = either.told
    assert person_id == "p_alice"
    assert "was used by someone else" in told
    for person in ("p_alice", "p_bob"):
        assert not await either.connections.active(person, "asana")
        assert not either.vendor.accounts_of(person), "removed at the vendor, too"
    assert (await either.confirm("p_alice", code)).told.startswith("That code for Asana is no longer valid")
    assert either.attempt_closer.outcomes[ConnectAttemptState.WRONG_PERSON] == 1
    assert await either.connections.list("p_alice") == [], "it never was a connection"


async def test_a_person_whose_link_was_used_by_another_is_told_after_a_crash(either: World) -> None:
    code = await either.code("p_alice")
    with killed_after(either.store.connect_attempts, "advance"):
        await either.confirm("p_bob", code)
    either.restart()
    assert (await either.confirm("p_bob", code)).told == texts.connecting.CODE_OF_ANOTHER, "Bob's turn continues"
    assert [person_id for person_id, _ in either.told] == ["p_alice"]


async def test_a_code_that_was_used_already_says_nothing_to_others(either: World) -> None:
    code = await either.code("p_alice")
    await either.confirm("p_alice", code)
    assert (await either.confirm("p_bob", code)).told == texts.connecting.CODE_UNKNOWN
    assert len(await either.connections.active("p_alice", "asana")) == 1
    assert not either.told


async def test_a_person_merged_while_a_code_waits_is_the_same_person(either: World) -> None:
    code = await either.code("p_alice")
    await either.store.merging.merge("p_bob", "p_alice", now=either.clock())
    stays = await either.store.people.surviving("p_bob")
    gone = "p_bob" if stays == "p_alice" else "p_alice"
    assert (await either.confirm(gone, code)).told == "Asana is connected."


async def test_a_code_that_comes_too_late(either: World) -> None:
    code = await either.code("p_alice")
    either.clock.now += CODE_SECONDS
    assert (await either.confirm("p_alice", code)).told.startswith("That code for Asana is no longer valid")
    assert not either.vendor.accounts_of("p_alice")


async def test_a_code_that_came_in_time_and_had_to_wait(either: World) -> None:
    code, came = await either.code("p_alice"), either.clock.now + CODE_SECONDS - 1
    either.clock.now += CODE_SECONDS + 60
    assert (await either.confirm("p_alice", code, at=came)).told == "Asana is connected."


@pytest.mark.parametrize("end", ["disconnected", "expired"])
async def test_the_code_of_an_ended_connection_is_too_late(either: World, end: str) -> None:
    code = await either.code("p_alice")
    await either.confirm("p_alice", code)
    [connection] = await either.connections.active("p_alice", "asana")
    if end == "disconnected":
        await either.connections.disconnect("p_alice", connection_id=connection.id)
    else:
        await either.connections.expire(connection)
    assert (await either.confirm("p_alice", code)).told == texts.connecting.code_too_late("Asana")


async def test_a_code_that_never_comes(either: World) -> None:
    await either.code("p_alice")
    either.clock.now += CODE_SECONDS
    await asyncio.gather(*(either.attempt_closer.sweep() for _ in range(3)))
    assert not either.vendor.accounts_of("p_alice")
    [(person_id, told)] = either.told
    assert person_id == "p_alice"
    assert "I did not get its code in time" in told


async def test_five_wrong_codes_end_it(either: World) -> None:
    code = await either.code("p_alice")
    for _ in range(4):
        assert (await either.confirm("p_alice", NO_CODE)).told == texts.connecting.CODE_UNKNOWN
    assert (await either.confirm("p_alice", NO_CODE)).told == texts.connecting.TOO_MANY_WRONG_CODES
    assert not either.vendor.accounts_of("p_alice")
    assert (await either.confirm("p_alice", code)).told.startswith("That code for Asana is no longer valid")
    assert (await either.confirm("p_alice", NO_CODE)).told == texts.connecting.CODE_UNKNOWN


async def test_a_right_code_after_too_many_wrong_ones_in_sentences_ends_it(either: World) -> None:
    code = await either.code("p_alice")
    for _ in range(5):
        await either.store.connect_attempts.count_wrong_code("p_alice")
    assert (await either.confirm("p_alice", code)).told == texts.connecting.TOO_MANY_WRONG_CODES
    assert (await either.confirm("p_alice", code)).told.startswith("That code for Asana is no longer valid")


async def test_wrong_codes_of_another_person_change_nothing(either: World) -> None:
    code = await either.code("p_alice")
    for _ in range(9):
        await either.confirm("p_bob", NO_CODE)
    assert (await either.confirm("p_alice", code)).told == "Asana is connected."


async def test_an_unconfirmed_account_stays_barred_beside_a_confirmed_one(either: World) -> None:
    first = await either.connect("p_alice")
    await either.code("p_alice")
    assert len(either.vendor.accounts_of("p_alice")) == 2
    assert await either.connections.active("p_alice", "asana") == [first]


# --- the verifier's session -------------------------------------------------------------------------------------


async def test_an_unavailable_vendor_decides_nothing(world: World) -> None:
    world.set_verifier()
    code = await world.code("p_alice")
    world.vendor.fail(500, match=COMPLETE)
    with pytest.raises(VendorUnavailable):
        await world.confirm("p_alice", code)
    world.restart()
    assert (await world.confirm("p_alice", code)).told == "Asana is connected."


async def test_a_process_that_died_after_the_vendor_had_done_it(world: World) -> None:
    """The session is used up, and only the account tells."""
    world.set_verifier()
    code = await world.code("p_alice")
    world.vendor.after.fail(0, match=COMPLETE)
    with pytest.raises(VendorUnavailable):
        await world.confirm("p_alice", code)
    assert [account.status for account in world.vendor.accounts_of("p_alice")] == ["ACTIVE"]
    assert not await world.connections.active("p_alice", "asana")
    world.restart()
    assert (await world.confirm("p_alice", code)).told == "Asana is connected."


@pytest.mark.parametrize("reads", [1, CHECKS - 1])
async def test_a_completion_repeated_after_a_crash_waits_for_the_account(world: World, reads: int) -> None:
    """The vendor has done it, refuses the used session, and shows the account as ACTIVE only a moment later."""
    world.set_verifier()
    world.vendor.set_stale_reads(reads)
    code = await world.code("p_alice")
    world.vendor.after.fail(0, match=COMPLETE)
    with pytest.raises(VendorUnavailable):
        await world.confirm("p_alice", code)
    world.restart()
    assert (await world.confirm("p_alice", code)).told == "Asana is connected."


async def test_a_completion_repeated_after_a_crash_fails_for_an_account_that_stays_inactive(world: World) -> None:
    world.set_verifier()
    world.vendor.set_stale_reads(CHECKS)
    code = await world.code("p_alice")
    world.vendor.after.fail(0, match=COMPLETE)
    with pytest.raises(VendorUnavailable):
        await world.confirm("p_alice", code)
    assert (await world.confirm("p_alice", code)).told == texts.connecting.connect_failed("Asana")
    assert not world.vendor.accounts_of("p_alice")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 418, 422, 451])
@pytest.mark.parametrize("slug", ["ConnectedAccount_BadRequest", "Session_NotFound", "Auth_Forbidden", ""])
async def test_every_refusal_of_the_vendor_is_final(
    world: World, monkeypatch: pytest.MonkeyPatch, status: int, slug: str
) -> None:
    """This holds even if the account becomes active meanwhile: another person has consented then."""
    world.set_verifier()
    code = await world.code("p_alice")
    world.vendor.fail(status, match=COMPLETE, body=f'{{"error": {{"slug": "{slug}", "message": "no"}}}}')
    statuses = iter(["INITIATED"])

    async def status_of(_: object) -> str:
        return next(statuses, "ACTIVE")

    monkeypatch.setattr(world.connections, "status_of", status_of)
    assert (await world.confirm("p_alice", code)).told == texts.connecting.connect_failed("Asana")
    assert not await world.connections.active("p_alice", "asana")
    assert (await world.confirm("p_alice", code)).told.startswith("That code for Asana is no longer valid")


async def test_a_rate_limited_request_decides_nothing(world: World) -> None:
    world.set_verifier()
    code = await world.code("p_alice")
    world.vendor.fail(429, match=COMPLETE)
    with pytest.raises(VendorUnavailable):
        await world.confirm("p_alice", code)
    assert (await world.confirm("p_alice", code)).told == "Asana is connected."


async def test_a_session_of_another_person_is_refused_by_the_vendor(world: World) -> None:
    """Bob makes Alice's browser open the verifier's address with a session that belongs to Bob."""
    world.set_verifier()
    await world.start("p_alice", browser="alices")
    back = world.vendor.approve(await world.start("p_bob", browser="bobs"))
    seen = await world.come_back(back, "alices")
    assert seen.attempt is not None
    assert (await world.confirm("p_alice", seen.attempt.code)).told == texts.connecting.connect_failed("Asana")
    assert not await world.connections.active("p_alice", "asana")
    assert all(account.status == "INITIATED" for account in world.vendor.accounts_of("p_bob"))


async def test_a_forged_session_where_the_vendor_has_no_verifier(world: World) -> None:
    """The attacker sees a code before the victim consents. That code connects nothing."""
    world.set_verifier(vendor=False)
    link = await world.start("p_alice")
    seen = await world.consent.verified("ses_forged", "browser", admitted)
    assert seen.attempt is not None
    world.vendor.approve(link)
    assert (await world.confirm("p_alice", seen.attempt.code)).told == texts.connecting.connect_failed("Asana")
    assert not await world.connections.active("p_alice", "asana")
    assert not world.vendor.accounts_of("p_alice")


async def test_two_links_that_come_back_crosswise(world: World) -> None:
    """In one browser the verifier does not say which it was: the vendor's answer does."""
    world.set_verifier()
    asana = world.vendor.approve(await world.start("p_alice", "asana"))
    world.clock.now += 1
    await world.start("p_alice", "gmail")
    seen = await world.come_back(asana)
    assert seen.attempt is not None
    assert seen.attempt.toolkit == "gmail", "the newest is taken"
    assert (await world.confirm("p_alice", seen.attempt.code)).told == "Asana is connected."
    assert await world.connections.active("p_alice", "asana")
    assert not await world.connections.active("p_alice", "gmail")
