"""The checker finds exactly the faults that are put into a log, and passes a clean log."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.effects import Effect, Effects
from kernel_service import texts
from tests.crash.checker import FROZEN, WITHHELD, Kind, judge
from tests.crash.evidence import read


class Log:
    """An effect log in the emulators' form, written line by line. Each line takes a tenth of a second."""

    def __init__(self) -> None:
        self.effects = Effects(clock=lambda: 0.1 * len(self.effects.all()))
        self._posts = 0

    def note(self, kind: str, key: str = "", person: str = "", **detail: Any) -> Log:
        self.effects.record(kind, person=person, key=key, **detail)
        return self

    def posts(self, *requests: str, phone: str = "", sent_at: int | None = None) -> Log:
        """Post messages, as `p1m1` or `task p1m1`, in one POST. Each POST has another second."""
        self._posts += 1
        sent_at = self._posts if sent_at is None else sent_at
        for request in requests:
            token = request.split()[-1]
            text, post = f"load {request}", str(self._posts)
            self.note("message_posted", f"wamid.{token}", phone or _phone(token), text=text, post=post, sent_at=sent_at)
        return self

    def taken(self, *tokens: str) -> Log:
        for token in tokens:
            self.note("message_taken", f"wamid.{token}", _phone(token))
        return self

    def writes(self, *requests: str) -> Log:
        return self.posts(*requests).taken(*(request.split()[-1] for request in requests))

    def asks(self, *people: str, person: str = "", about: str = "") -> Log:
        key, model = str(len(self.effects.all())), person or f"model-{people[0]}"
        return self.note("model_call", key, model, load_of=list(people), text=about)

    def sends(self, key: str, *tokens: str, phone: str = "", status: bool = True) -> Log:
        text = f"Answer to {', '.join(tokens)}." if tokens else texts.answers.FAILED
        self.note("graph_send", key, phone or _phone(tokens[0]), text=text)
        return self.note("status_taken", key, status="sent") if status else self

    def makes(self, token: str, person: str = "") -> Log:
        composio = person or f"composio-{token.partition('m')[0]}"
        return self.note("tool_execution", "CREATE", composio, arguments={"name": token}, read_only=False)

    def lists(self, person: str) -> Log:
        return self.note("tool_execution", "LIST", f"composio-{person}", arguments={}, read_only=True)

    def found(self) -> list[tuple[Kind, str]]:
        return [(fault.kind, fault.about) for fault in judge(self.effects.all()).faults]


def _phone(token: str) -> str:
    return f"US.{token.partition('m')[0]}"


def clean() -> Log:
    """Two people. One has a merged answer, a task, and an answer of three parts."""
    log = Log().writes("p1m1").posts("p1m2").writes("task p2m1").taken("p1m2")
    log.asks("p1").asks("p1").sends("a/1/1", "p1m1", "p1m2").asks("p2").makes("p2m1").asks("p2").sends("b/1/1", "p2m1")
    return log.writes("long p1m3").asks("p1").sends("c/1/3", "p1m3").sends("c/2/3", "p1m3").sends("c/3/3", "p1m3")


def test_a_clean_log_passes() -> None:
    verdict = judge(clean().effects.all())
    assert verdict.faults == []
    assert (verdict.messages, verdict.answers, verdict.tasks, verdict.model_calls) == (4, 3, 1, 5)
    assert not verdict.residue


# --- lost


def test_an_acknowledged_message_that_no_answer_names_is_lost() -> None:
    assert clean().writes("p2m2").found() == [(Kind.LOST, "p2m2")]


def test_a_message_that_was_never_acknowledged_is_not_lost() -> None:
    assert clean().posts("p2m2").found() == []


@pytest.mark.parametrize("kills", [0, 3, 30])
def test_an_apology_is_never_an_answer(kills: int) -> None:
    log = clean().writes("p2m2")
    for _ in range(kills):
        log.note("killed", "kernel_service")
    log.sends("d/1/1", phone="US.p2")
    assert log.found() == [(Kind.GIVEN_UP, "p2m2")]
    assert dict(judge(log.effects.all()).silent) == {texts.answers.FAILED: 1}


def test_an_apology_to_another_person_does_not_count() -> None:
    assert clean().writes("p2m2").sends("d/1/1", phone="US.p1").found() == [(Kind.LOST, "p2m2")]


def test_an_earlier_apology_does_not_count() -> None:
    assert clean().sends("d/1/1", phone="US.p2").writes("p2m2").found() == [(Kind.LOST, "p2m2")]


def test_an_apology_covers_one_turn() -> None:
    log = clean().writes("p2m2").writes("p2m3").writes("p2m4").asks("p2", about="load p2m2\nload p2m3")
    log.sends("d/1/1", phone="US.p2")
    assert log.found() == [(Kind.GIVEN_UP, "p2m2"), (Kind.GIVEN_UP, "p2m3"), (Kind.LOST, "p2m4")]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_part_that_was_never_sent_is_lost(missing: int) -> None:
    log = clean().writes("long p2m2")
    for part in {1, 2, 3} - {missing}:
        log.sends(f"d/{part}/3", "p2m2")
    assert log.found() == [(Kind.LOST, "p2m2")]


def test_a_task_that_was_never_made_is_lost() -> None:
    assert clean().writes("task p2m2").sends("d/1/1", "p2m2").found() == [(Kind.LOST, "p2m2")]


def test_a_dropped_or_failed_send_is_not_an_answer() -> None:
    log = clean().writes("p2m2").note("graph_send_dropped", "d/1/1", "US.p2", text="Answer to p2m2.")
    assert log.note("graph_send_failed", "d/1/1", "US.p2", text="Answer to p2m2.").found() == [(Kind.LOST, "p2m2")]


# --- twice


def test_two_answers_to_one_message_are_found() -> None:
    assert clean().sends("d/1/1", "p1m3").found() == [(Kind.TWICE, "p1m3")]


def test_two_answers_are_found_though_the_message_was_never_acknowledged() -> None:
    assert clean().posts("p2m2").sends("d/1/1", "p2m2").sends("e/1/1", "p2m2").found() == [(Kind.TWICE, "p2m2")]


def test_a_task_made_twice_is_found() -> None:
    assert clean().makes("p2m1").found() == [(Kind.TOOL_TWICE, "p2m1")]


def test_listing_twice_is_not_a_fault() -> None:
    assert clean().lists("p2").lists("p2").found() == []


# --- order


def test_an_overtaking_answer_is_found() -> None:
    log = clean().writes("p2m2").writes("p2m3").sends("d/1/1", "p2m3").sends("e/1/1", "p2m2")
    assert log.found() == [(Kind.ORDER, "p2m2")]


def test_an_answer_between_the_parts_of_an_earlier_one_is_found() -> None:
    log = clean().writes("long p2m2").writes("p2m3")
    log.sends("d/1/2", "p2m2").sends("e/1/1", "p2m3").sends("d/2/2", "p2m2")
    assert log.found() == [(Kind.ORDER, "p2m2")]


def test_parts_out_of_order_are_found() -> None:
    log = clean().writes("long p2m2").sends("d/2/2", "p2m2").sends("d/1/2", "p2m2")
    assert log.found() == [(Kind.ORDER, "d/2/2")]


def test_a_wrong_order_in_an_answer_is_found() -> None:
    assert clean().writes("p2m2").writes("p2m3").sends("d/1/1", "p2m3", "p2m2").found() == [(Kind.ORDER, "p2m2")]


def test_messages_of_one_post_are_in_its_order() -> None:
    assert clean().writes("p2m2", "p2m3").sends("d/1/1", "p2m3", "p2m2").found() == [(Kind.ORDER, "p2m2")]


def test_tasks_made_in_the_wrong_order_are_found() -> None:
    log = clean().writes("task p2m2").writes("task p2m3").makes("p2m3").makes("p2m2")
    assert log.sends("d/1/1", "p2m2", "p2m3").found() == [(Kind.ORDER, "p2m2")]


def under_way_at_once(*, seconds: int = 1) -> Log:
    """Two messages of one person that are in transit at the same time. The later one arrives first."""
    return clean().posts("p2m2", sent_at=50).posts("p2m3", sent_at=50 + seconds).taken("p2m3")


def test_concurrent_messages_of_one_second_may_be_in_either_order() -> None:
    log = under_way_at_once(seconds=0).taken("p2m2").asks("p2", about="load p2m3\nload p2m2")
    assert log.sends("d/1/1", "p2m3", "p2m2").found() == []


def test_concurrent_messages_are_named_in_the_order_of_sending() -> None:
    log = under_way_at_once().taken("p2m2").asks("p2", about="load p2m3\nload p2m2")
    assert log.sends("d/1/1", "p2m3", "p2m2").found() == [(Kind.ORDER, "p2m2")]


def test_a_message_that_arrived_late_may_be_answered_next() -> None:
    log = under_way_at_once().asks("p2", about="load p2m3").taken("p2m2")
    assert log.sends("d/1/1", "p2m3").sends("e/1/1", "p2m2").found() == []


def test_a_message_that_waited_already_must_be_answered_first() -> None:
    log = under_way_at_once().taken("p2m2").asks("p2", about="load p2m3")
    assert log.sends("d/1/1", "p2m3").sends("e/1/1", "p2m2").found() == [(Kind.ORDER, "p2m2")]


def test_tasks_of_concurrent_messages_are_made_in_the_order_of_sending() -> None:
    log = clean().posts("task p2m2").posts("task p2m3").taken("p2m3", "p2m2").makes("p2m3").makes("p2m2")
    assert log.sends("d/1/1", "p2m2", "p2m3").found() == [(Kind.ORDER, "p2m2")]


def test_the_order_among_people_is_free() -> None:
    assert clean().writes("p2m2").writes("p1m4").sends("d/1/1", "p1m4").sends("e/1/1", "p2m2").found() == []


# --- mixed


def test_an_answer_to_another_person_is_found() -> None:
    assert clean().writes("p2m2").sends("d/1/1", "p2m2", phone="US.p1").found() == [(Kind.MIXED, "p2m2")]


def test_a_repeated_part_to_another_person_is_found() -> None:
    log = clean().note("graph_send", "b/1/1", "US.p1", text="Answer to p2m1.")
    assert log.found() == [(Kind.MIXED, "p2m1"), (Kind.REPEATED, "b/1/1")]


def test_an_answer_to_an_unwritten_message_is_found() -> None:
    assert clean().sends("d/1/1", "p1m9").found() == [(Kind.MIXED, "p1m9")]


def test_a_task_in_another_persons_account_is_found() -> None:
    log = clean().writes("task p1m4").makes("p1m4", person="composio-p2").sends("d/1/1", "p1m4")
    assert log.found() == [(Kind.MIXED, "p1")]


def test_a_person_with_two_accounts_is_found() -> None:
    log = clean().writes("task p2m2").makes("p2m2", person="composio-p9").sends("d/1/1", "p2m2")
    assert log.found() == [(Kind.MIXED, "p2")]


def test_another_persons_history_in_a_request_is_found() -> None:
    assert clean().asks("p1", "p2").found() == [(Kind.MIXED, "p2"), (Kind.MIXED, "p2")]


def test_sealed_content_of_another_is_found() -> None:
    assert clean().note("foreign_content", "rs_1", "model-p1").found() == [(Kind.MIXED, "rs_1")]


# --- repeated sends


def residue(log: Log) -> dict[str, int]:
    verdict = judge(log.effects.all())
    assert verdict.faults == []
    return dict(verdict.residue)


def test_a_part_sent_again_is_found() -> None:
    assert clean().sends("c/2/3", "p1m3").found() == [(Kind.REPEATED, "c/2/3")]


def test_a_part_sent_again_though_no_status_had_come_yet_is_found() -> None:
    log = clean().writes("p2m2").sends("d/1/1", "p2m2", status=False).sends("d/1/1", "p2m2")
    assert log.found() == [(Kind.REPEATED, "d/1/1")]


def test_a_part_whose_status_was_withheld_may_be_sent_again() -> None:
    log = clean().writes("p2m2").sends("d/1/1", "p2m2", status=False).note("status_withheld", "d/1/1")
    assert residue(log.sends("d/1/1", "p2m2")) == {WITHHELD: 1}


def test_a_part_sent_again_after_its_status_was_accepted_is_found() -> None:
    log = clean().writes("p2m2").sends("d/1/1", "p2m2", status=False).note("status_withheld", "d/1/1")
    log.note("status_taken", "d/1/1", status="sent").sends("d/1/1", "p2m2")
    assert log.found() == [(Kind.REPEATED, "d/1/1")]


def test_a_withheld_status_of_another_part_is_no_excuse() -> None:
    log = clean().writes("p2m2").sends("d/1/1", "p2m2", status=False).note("status_withheld", "e/1/1")
    assert log.sends("d/1/1", "p2m2").found() == [(Kind.REPEATED, "d/1/1")]


def test_a_frozen_write_may_arrive_after_that_of_another_gateway() -> None:
    log = clean().writes("p2m2").note("frozen", "gateway").sends("d/1/1", "p2m2").note("resumed", "gateway")
    assert residue(log.sends("d/1/1", "p2m2")) == {FROZEN: 1}


def test_a_frozen_call_may_arrive_after_that_of_another_node() -> None:
    log = clean().writes("task p2m2").note("frozen", "kernel_service_1").makes("p2m2")
    log.note("resumed", "kernel_service_1").makes("p2m2").sends("d/1/1", "p2m2")
    assert residue(log) == {FROZEN: 1}


@pytest.mark.parametrize(("frozen", "kind"), [("gateway", Kind.TOOL_TWICE), ("kernel_service", Kind.REPEATED)])
def test_a_frozen_process_excuses_only_its_kind_of_write(frozen: str, kind: Kind) -> None:
    log = clean().writes("task p2m2").note("frozen", frozen)
    for state in ("resumed", ""):
        log.makes("p2m2") if kind is Kind.TOOL_TWICE else log.sends("d/1/1", "p2m2")
        if state:
            log.note(state, frozen)
    log.makes("p2m2") if kind is Kind.REPEATED else log.sends("d/1/1", "p2m2")
    assert [each for each, _ in log.found()] == [kind]


def test_a_frozen_process_does_not_excuse_its_earlier_sends() -> None:
    log = clean().writes("p2m2").sends("d/1/1", "p2m2").note("frozen", "gateway").note("resumed", "gateway")
    assert log.sends("d/1/1", "p2m2").found() == [(Kind.REPEATED, "d/1/1")]


def test_a_frozen_process_does_not_excuse_much_later_sends() -> None:
    log = clean().writes("p2m2").note("frozen", "gateway").sends("d/1/1", "p2m2").note("resumed", "gateway")
    for _ in range(30):
        log.lists("p2")
    assert log.sends("d/1/1", "p2m2").found() == [(Kind.REPEATED, "d/1/1")]


# --- the log itself


def test_a_token_written_twice_proves_nothing() -> None:
    with pytest.raises(ValueError, match="p1m1 was written twice"):
        judge(clean().writes("p1m1").effects.all())


def test_other_messages_are_ignored() -> None:
    log = Log().note("message_posted", "wamid.1", "US.p1", text="connect my asana", post="1", sent_at=1)
    log.note("message_taken", "wamid.1", "US.p1").note("account_connected", "ca_1", "composio-p1")
    assert read(log.effects.all()).messages == {}
    assert log.found() == []


def test_the_checker_needs_only_the_log() -> None:
    effects = [Effect(e.number, e.at, e.kind, e.person, e.key, dict(e.detail)) for e in clean().effects.all()]
    assert judge(effects).faults == []
