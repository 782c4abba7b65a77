"""The browser's way to the vendor's consent and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from emulators.faults import matching
from kernel_service.connections.consent import CODE_SECONDS, PageKind
from kernel_service.connections.links import LINK_SECONDS
from kernel_service.connections.settled_status import CHECKS
from kernel_service.connections.tokens import digest
from kernel_service.ports.connect_attempts import ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.tools import Person
from tests.unit.composio.fakes import admitted, nonce_of

if TYPE_CHECKING:
    from kernel_service.composio.client import ConnectLink
    from kernel_service.ports.connect_attempts import ConnectAttempt
    from tests.unit.composio.fakes import World

ALICE = Person("p_alice", "test", "desk")


async def offered(world: World, toolkit: str = "asana") -> str:
    """The nonce of a new link."""
    return nonce_of((await world.connect_links.link(ALICE, toolkit)).link.url)


async def attempt_of(world: World) -> ConnectAttempt:
    (attempt,) = await world.store.connect_attempts.live("p_alice")
    return attempt


async def test_looking_at_a_link_changes_nothing(world: World) -> None:
    """A chat fetches every link that it shows, to make a preview."""
    nonce = await offered(world)
    before = await attempt_of(world)
    for browser in ("", "previewer", "browser"):
        assert (await world.consent.view(nonce, browser)).kind is PageKind.CONFIRM
    assert await attempt_of(world) == before
    assert not world.vendor.accounts_of("p_alice")


@pytest.mark.parametrize("verifier", [False, True])
async def test_from_the_link_to_the_code(world: World, *, verifier: bool) -> None:
    world.set_verifier(vendor=verifier, ours=verifier)
    back = world.vendor.approve(await world.start("p_alice"))
    seen = await world.come_back(back)
    assert seen.kind is PageKind.CODE
    assert seen.attempt is not None
    assert seen.attempt.code
    (connection,) = await world.connections.list("p_alice")
    assert connection.status is ConnectionStatus.UNCONFIRMED
    assert not await world.connections.active("p_alice", "asana"), "barred until the code comes"


async def test_ten_tabs_of_one_browser_share_one_link_of_the_vendor(world: World) -> None:
    nonce = await offered(world)
    tabs = await asyncio.gather(*(world.consent.start(nonce, "browser") for _ in range(10)))
    assert {tab.kind for tab in tabs} == {PageKind.REDIRECT}
    assert len({tab.url for tab in tabs}) == 1
    assert world.count("link_created") == 1


async def test_a_tab_that_looked_just_before_another_one_had_the_link_makes_no_second(world: World) -> None:
    nonce = await offered(world)
    await world.consent.start(nonce, "browser")
    await world.consent._ask_vendor(nonce)
    assert world.count("link_created") == 1


async def test_an_attempt_that_ends_while_the_vendor_makes_its_link_leaves_no_account(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonce = await offered(world)
    make = world.composio.link

    async def make_late(*asked: str) -> ConnectLink:
        made = await make(*asked)
        await world.connections.disconnect("p_alice", toolkit="asana")
        return made

    monkeypatch.setattr(world.composio, "link", make_late)
    assert (await world.consent.start(nonce, "browser")).kind is PageKind.ENDED
    assert world.count("link_created") == 1
    assert not world.vendor.accounts_of("p_alice")


async def test_the_first_of_two_browsers_claims_the_link(world: World) -> None:
    nonce = await offered(world)
    seen = await asyncio.gather(*(world.consent.start(nonce, f"browser {number}") for number in range(5)))
    assert sorted(one.kind.name for one in seen) == ["OTHER_BROWSER"] * 4 + ["REDIRECT"]
    assert world.count("link_created") == 1
    assert (await world.consent.view(nonce, "another")).kind is PageKind.OTHER_BROWSER


async def test_a_link_that_was_not_followed_in_time_has_ended(world: World) -> None:
    nonce = await offered(world)
    world.clock.now += LINK_SECONDS
    assert (await world.consent.start(nonce, "browser")).kind is PageKind.ENDED
    assert (await world.consent.start("x" * 43, "browser")).kind is PageKind.UNKNOWN
    assert not world.vendor.accounts_of("p_alice")


async def test_a_vendor_who_is_away_loses_nothing(world: World) -> None:
    nonce = await offered(world)
    world.vendor.fail(500, match=matching(path="/link"))
    assert (await world.consent.start(nonce, "browser")).kind is PageKind.VENDOR_UNAVAILABLE
    assert (await world.consent.start(nonce, "browser")).kind is PageKind.REDIRECT
    assert (await world.consent.start(nonce, "browser")).kind is PageKind.REDIRECT


async def test_a_process_that_died_before_it_knew_the_vendors_link(world: World) -> None:
    nonce = await offered(world)
    world.vendor.fail(0, match=matching(path="/link"))
    await world.consent.start(nonce, "browser")
    assert (await attempt_of(world)).state is ConnectAttemptState.CLAIMED
    world.restart()
    assert (await world.consent.start(nonce, "browser")).kind is PageKind.REDIRECT
    assert (await world.consent.start(nonce, "another")).kind is PageKind.OTHER_BROWSER


# --- back -------------------------------------------------------------------------------------------------------


async def test_a_page_may_be_opened_again(world: World) -> None:
    back = world.vendor.approve(await world.start("p_alice"))
    seen = await asyncio.gather(*(world.come_back(back) for _ in range(5)))
    assert {one.kind for one in seen} == {PageKind.CODE}
    assert len({one.attempt.code for one in seen if one.attempt}) == 1
    assert await world.come_back(back) == seen[0]


async def nothing_is_left(world: World, outcome: ConnectAttemptState) -> None:
    assert world.attempt_closer.outcomes[outcome] == 1
    assert not await world.store.connect_attempts.live("p_alice")
    assert not world.vendor.accounts_of("p_alice")
    assert not await world.connections.active("p_alice", "asana")


@pytest.mark.parametrize("victim", ["victim", ""])
async def test_a_return_in_another_browser_ends_the_attempt(world: World, victim: str) -> None:
    """The vendor's own link was passed on, and another person gave their consent."""
    back = world.vendor.approve(await world.start("p_alice", browser="attacker"))
    assert (await world.come_back(back, victim)).kind is PageKind.WRONG_BROWSER
    await nothing_is_left(world, ConnectAttemptState.WRONG_BROWSER)
    assert (await world.come_back(back, "attacker")).kind is PageKind.ENDED
    [(person_id, told)] = world.told
    assert person_id == "p_alice"
    assert "opened in one browser and finished in another" in told


async def test_opening_the_callback_before_consent_uses_it_up(world: World) -> None:
    """An attacker who knows the callback's address cannot wait there for another person's consent."""
    await world.start("p_alice", browser="attacker")
    [callback] = [call.body["callback_url"] for call in world.vendor.requests if call.path.endswith("/link")]
    assert (await world.come_back(callback, "attacker")).kind is PageKind.DENIED
    await nothing_is_left(world, ConnectAttemptState.DENIED)


@pytest.mark.parametrize("used", [False, True])
async def test_a_code_seen_before_the_consenting_browser_returns_is_invalidated(world: World, *, used: bool) -> None:
    back = world.vendor.approve(await world.start("p_alice", browser="attacker"))
    seen = await world.come_back(back, "attacker")
    assert seen.attempt is not None
    if used:
        assert (await world.confirm("p_alice", seen.attempt.code)).told == "Asana is connected."
    assert (await world.come_back(back, "victim")).kind is PageKind.WRONG_BROWSER
    await nothing_is_left(world, ConnectAttemptState.WRONG_BROWSER)
    assert (await world.come_back(back, "victim")).kind is PageKind.ENDED


async def test_a_consent_that_the_vendor_shows_later_counts(world: World) -> None:
    world.vendor.set_stale_reads(CHECKS - 1)
    back = world.vendor.approve(await world.start("p_alice"))
    assert (await world.come_back(back)).kind is PageKind.CODE


async def test_a_callback_proves_nothing_by_itself(world: World) -> None:
    """Its query is anybody's to write: the vendor is asked."""
    await world.start("p_alice")
    [callback] = [call.body["callback_url"] for call in world.vendor.requests if call.path.endswith("/link")]
    account_id = (await attempt_of(world)).connection.account_id
    forged = f"{callback}?status=success&connected_account_id={account_id}"
    assert (await world.come_back(forged)).kind is PageKind.DENIED
    await nothing_is_left(world, ConnectAttemptState.DENIED)


async def test_a_swapped_nonce_or_account_leads_nowhere(world: World) -> None:
    alice = world.vendor.approve(await world.start("p_alice"))
    bob = world.vendor.approve(await world.start("p_bob", browser="bobs"))
    swapped = f"{alice.partition('?')[0]}?{bob.partition('?')[2]}"
    assert (await world.come_back(swapped)).kind is PageKind.UNKNOWN
    assert (await attempt_of(world)).state is ConnectAttemptState.STARTED


async def test_consent_denied(world: World) -> None:
    back = world.vendor.deny(await world.start("p_alice"))
    assert (await world.come_back(back)).kind is PageKind.DENIED
    assert (await world.come_back(back)).kind is PageKind.ENDED
    [(person_id, told)] = world.told
    assert person_id == "p_alice"
    assert "Asana was not connected" in told
    assert not world.vendor.accounts_of("p_alice")


async def test_a_vendor_who_is_away_when_the_person_comes_back(world: World) -> None:
    back = world.vendor.approve(await world.start("p_alice"))
    world.vendor.fail(500, match=matching(path="/connected_accounts"))
    assert (await world.come_back(back)).kind is PageKind.VENDOR_UNAVAILABLE
    assert (await world.come_back(back)).kind is PageKind.CODE


async def test_an_account_that_belongs_to_another_person_at_the_vendor(world: World) -> None:
    back = world.vendor.approve(await world.start("p_alice"))
    attempt = await attempt_of(world)
    world.vendor._accounts.get(attempt.connection.account_id).user_id = "p_bob"
    assert (await world.come_back(back)).kind is PageKind.DENIED
    assert not await world.connections.active("p_alice", "asana")


async def test_a_return_after_the_deadline_ends_the_attempt(world: World) -> None:
    back = world.vendor.approve(await world.start("p_alice"))
    world.clock.now += 901
    assert (await world.come_back(back)).kind is PageKind.ENDED
    await world.attempt_closer.sweep()
    assert not world.vendor.accounts_of("p_alice")


# --- by the verifier --------------------------------------------------------------------------------------------


async def test_the_verifiers_session_belongs_to_the_browser_that_was_sent(world: World) -> None:
    world.set_verifier()
    back = world.vendor.approve(await world.start("p_alice", browser="attacker"))
    for browser in ("victim", "", "attacker"):
        assert (await world.come_back(back, browser)).kind is PageKind.UNKNOWN, (
            "rejected since it came with another browser"
        )
    assert (await attempt_of(world)).state is ConnectAttemptState.STARTED
    assert [account.status for account in world.vendor.accounts_of("p_alice")] == ["INITIATED"]


async def test_without_a_verifier_a_session_is_unknown(world: World) -> None:
    await world.start("p_alice")
    assert (await world.consent.verified("ses_forged", "browser", admitted)).kind is PageKind.UNKNOWN
    attempt = await attempt_of(world)
    assert (attempt.state, attempt.code) == (ConnectAttemptState.STARTED, "")
    assert not await world.store.unmatched_sessions.is_known(digest("ses_forged")), "nothing is kept of it"


async def test_a_verifier_that_the_vendor_does_not_have_connects_nothing(world: World) -> None:
    world.set_verifier(vendor=False)
    back = world.vendor.approve(await world.start("p_alice"))
    assert (await world.come_back(back)).kind is PageKind.ENDED
    await nothing_is_left(world, ConnectAttemptState.REMOVED)


async def test_a_verifiers_session_that_comes_twice(world: World) -> None:
    world.set_verifier()
    back = world.vendor.approve(await world.start("p_alice"))
    first = await world.come_back(back)
    assert (await world.come_back(back)) == first
    assert (await world.consent.verified("ses_another00000", "browser", admitted)).kind is PageKind.UNKNOWN


async def test_the_code_is_shown_for_ten_minutes(world: World) -> None:
    back = world.vendor.approve(await world.start("p_alice"))
    world.clock.now += 1
    assert (await world.come_back(back)).kind is PageKind.CODE
    world.clock.now += CODE_SECONDS - 1
    assert (await world.come_back(back)).kind is PageKind.CODE
    world.clock.now += 1
    assert (await world.come_back(back)).kind is PageKind.ENDED
