"""Replies are sent once, in order, and settled."""

import asyncio

import pytest
from google.rpc import code_pb2
from kernel.v1 import messages_pb2, outbox_pb2

from emulators.app import Emulators
from emulators.effects import Effect
from emulators.whatsapp.phones import Phone
from tests.integration.gateway.conftest import Gateway, Start
from tests.integration.gateway.fake_kernel import FakeKernel, Running
from tests.integration.gateway.payloads import NUMBER
from whatsapp_gateway import wiring
from whatsapp_gateway.kernel import attach
from whatsapp_gateway.markup.splitting import SPLIT_VERSION
from whatsapp_gateway.outbound import reply_sender

LONG = "\n\n".join(f"{number} " + "word " * 700 for number in range(3))
"""Three paragraphs of 3500 characters: three parts."""


@pytest.fixture
async def alice(gateway: Gateway, emulators: Emulators) -> Phone:
    """A person who has written, so that their window is open."""
    phone = emulators.whatsapp.add_phone("Alice")
    await phone.send("hello")
    return phone


def key(phone: Phone) -> str:
    return f"whatsapp:{phone.user_id}"


def sends(emulators: Emulators) -> list[Effect]:
    return emulators.effects.all("graph_send")


async def test_the_stream_names_what_this_gateway_serves(gateway: Gateway, kernel: FakeKernel) -> None:
    (pull,) = kernel.pulls
    assert (pull.channel, list(pull.addresses)) == ("whatsapp", [NUMBER])
    assert list(pull.kinds) == [
        outbox_pb2.OUTBOX_ITEM_KIND_REPLY,
        outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED,
        outbox_pb2.OUTBOX_ITEM_KIND_TYPING,
    ]
    assert pull.instance_id
    assert pull.typing_interval.ToSeconds() < 25
    assert pull.max_in_flight == attach.MOST_IN_FLIGHT


async def test_a_reply_is_sent_settled_and_its_receipts_reported(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    question = alice.messages[0]
    kernel.lease("Hello **Alice**", user_id=key(alice), quoted_message_id=question.id)
    answer = await alice.wait_for_message()
    assert (answer.text, answer.quotes) == ("Hello *Alice*", question.id)
    await kernel.until(lambda: kernel.acks and len(kernel.receipts) == 2)
    (ack,) = kernel.acks
    assert ack.outcome == "sent"
    assert (ack.lease_token, ack.channel_message_id) == ("lease-1", answer.id)
    assert (str(ack.part), ack.split_version) == ("rp_1/1/1", SPLIT_VERSION)
    assert [str(receipt.part) for receipt in kernel.receipts] == ["rp_1/1/1"] * 2
    assert [receipt.outcome for receipt in kernel.receipts] == [
        "sent",
        "delivered",
    ]


WORDS = (
    "https://github.com/x/y/blob/main/__init__.py",
    "5*3=15 and 4*2=8",
    "code XNDW-HVXB, password P@*ss*w_o_rd!, mail first_last@example.com",
    r"C:\new_folder\_x, ^\d+\.\d*$, {\"a_b\": 1*2*3}, ps aux | grep a_b",
)


@pytest.mark.parametrize("words", WORDS)
async def test_texts_arrive_on_the_phone_unchanged(words: str, alice: Phone, kernel: FakeKernel) -> None:
    kernel.lease(words, user_id=key(alice))
    assert (await alice.wait_for_message()).text == words


async def test_a_long_text_of_stacked_marks_arrives_whole(alice: Phone, kernel: FakeKernel) -> None:
    """This number of combining marks once took six seconds to split, and other replies wait while one is rendered."""
    words = "a" + "\u0301" * 8000
    kernel.lease(words, user_id=key(alice))
    arrived = [(await alice.wait_for_message()).text for _ in range(2)]
    assert "".join(arrived) == words


async def test_a_person_with_a_hidden_number_and_one_known_by_it_alone_are_both_reached(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    hidden = emulators.whatsapp.add_phone("Hidden", wa_id="", username="hidden")
    plain = emulators.whatsapp.add_phone("Plain")
    await hidden.send("hi")
    await plain.send("hi")
    kernel.lease("for the hidden", user_id=key(hidden), id="rp_h")
    kernel.lease("for the plain", user_id=f"whatsapp:{plain.wa_id}", id="rp_p")
    assert (await hidden.wait_for_message()).text == "for the hidden"
    assert (await plain.wait_for_message()).text == "for the plain"


async def test_a_link_becomes_a_button_and_choices_become_buttons(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    kernel.lease(
        "Connect", user_id=key(alice), link=messages_pb2.Link(url="https://c.example/lk_1", title="Connect Asana")
    )
    button = await alice.wait_for_message()
    assert button.kind == "interactive"
    choices = [messages_pb2.ReplyChoice(id="yes", title="Yes"), messages_pb2.ReplyChoice(id="no", title="No")]
    kernel.lease("Sure?", user_id=key(alice), id="rp_2", choices=choices)
    question = await alice.wait_for_message()
    await alice.tap(question, "Yes")
    choice = kernel.messages[-1].payload
    assert (choice.choice.id, choice.choice.title) == ("yes", "Yes")
    assert choice.quoted_message_id == question.id


async def test_a_long_reply_leaves_in_parts_and_order(alice: Phone, kernel: FakeKernel) -> None:
    kernel.lease(LONG, user_id=key(alice))
    await kernel.until(lambda: len(kernel.acks) == 3)
    assert [message.text[0] for message in alice.received] == ["0", "1", "2"]
    assert [(ack.part.part, ack.part.parts) for ack in kernel.acks] == [(1, 3), (2, 3), (3, 3)]


async def test_parts_sent_under_an_earlier_lease_are_skipped(alice: Phone, kernel: FakeKernel) -> None:
    kernel.lease(
        LONG, user_id=key(alice), split=outbox_pb2.ReplySplit(sent_parts=[1, 3], parts=3, version=SPLIT_VERSION)
    )
    await kernel.until(lambda: kernel.acks)
    assert [message.text[0] for message in alice.received] == ["1"]
    assert [ack.part.part for ack in kernel.acks] == [2]


async def test_a_reply_split_by_another_rule_is_left_to_others(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    kernel.lease(LONG, user_id=key(alice), split=outbox_pb2.ReplySplit(sent_parts=[1], parts=4, version="0"))
    await kernel.until(lambda: kernel.acks)
    (ack,) = kernel.acks
    assert ack.outcome == "retry"
    assert (str(ack.part), ack.split_version) == ("rp_1/2/4", "0")
    assert sends(emulators) == []


async def test_an_expired_lease_sends_nothing(alice: Phone, kernel: FakeKernel, emulators: Emulators) -> None:
    kernel.lease("too late", user_id=key(alice), seconds=1, id="rp_late")
    kernel.lease("in time", user_id=key(alice), id="rp_2")
    assert (await alice.wait_for_message()).text == "in time"
    assert len(sends(emulators)) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (131000, ("retry", 0)),
        (131056, ("retry", 4)),
        (190, ("retry", 300)),
        (131026, ("failed", 0)),
        (131047, ("window_closed", 0)),
    ],
)
async def test_a_refused_part_ends_the_reply_with_its_outcome(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, code: int, expected: tuple[str, int]
) -> None:
    emulators.whatsapp.fail_next(code)
    kernel.lease(LONG, user_id=key(alice))
    await kernel.until(lambda: kernel.acks)
    (ack,) = kernel.acks
    assert (ack.outcome, ack.retry_after) == expected
    assert ack.error_code == str(code)
    assert ack.part.part == 1
    assert sends(emulators) == []


async def test_one_person_is_slowed_down_more_and_more_until_it_works(
    alice: Phone, gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.fail_next(131056, 4)
    for number in range(6):
        if number == 5:
            emulators.whatsapp.fail_next(131056)
        kernel.lease("hi", user_id=key(alice), id="rp_1" if number < 5 else "rp_2")
        await kernel.until(lambda: len(kernel.acks) > number)  # noqa: B023
    assert [ack.retry_after for ack in kernel.acks] == [4, 16, 64, 64, 0, 4]


async def test_a_busy_number_rests_until_the_time_that_whatsapp_names(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.fail_next(130429, retry_after="Fri, 01 Jan 2100 00:00:00 GMT")
    for number in range(2):
        kernel.lease("hi", user_id=key(alice), id=f"rp_{number}")
        await kernel.until(lambda: len(kernel.acks) > number)  # noqa: B023
    assert [(ack.outcome, ack.error_code) for ack in kernel.acks] == [("retry", "130429"), ("retry", "paced")]
    assert all(290 < ack.retry_after <= 300 for ack in kernel.acks)
    assert sends(emulators) == []


async def test_one_person_waits_as_long_as_whatsapp_asks_at_least(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    for number, told in enumerate([1, 90]):
        emulators.whatsapp.fail_next(131056, retry_after=told)
        kernel.lease("hi", user_id=key(alice), id="rp_1")
        await kernel.until(lambda: len(kernel.acks) > number)  # noqa: B023
    assert [ack.retry_after for ack in kernel.acks] == [4, 90]


async def test_a_refused_number_opens_its_circuit_with_one_alert(
    alice: Phone, gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.fail_next(131048)
    kernel.lease("hi", user_id=key(alice), id="rp_0")
    await kernel.until(lambda: kernel.acks)
    for number in range(1, 5):
        other = emulators.whatsapp.add_phone(f"Other {number}")
        await other.send("hi")
        kernel.lease(LONG, user_id=key(other), id=f"rp_{number}")
    await kernel.until(lambda: len(kernel.acks) == 5)
    assert [ack.error_code for ack in kernel.acks] == ["131048", *["circuit_open"] * 4]
    assert {ack.outcome for ack in kernel.acks} == {"retry"}
    assert all(200 < ack.retry_after <= 300 for ack in kernel.acks)
    assert sends(emulators) == []
    assert await gateway.count('alerts_total{reason="account"}') == 1


async def test_a_restricted_country_opens_no_circuit(
    alice: Phone, gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    bob = emulators.whatsapp.add_phone("Bob")
    await bob.send("hi")
    emulators.whatsapp.fail_next(130497)
    kernel.lease("hi", user_id=key(alice), id="rp_a")
    await kernel.until(lambda: kernel.acks)
    kernel.lease("hi", user_id=key(bob), id="rp_b")
    await bob.wait_for_message()
    assert (kernel.acks[0].error_code, kernel.acks[0].retry_after) == ("130497", 300)
    assert await gateway.count('alerts_total{reason="account"}') == 1


async def test_an_account_at_fault_is_an_alert(
    alice: Phone, gateway: Gateway, kernel: FakeKernel, emulators: Emulators, caplog: pytest.LogCaptureFixture
) -> None:
    emulators.whatsapp.fail_next(131031)
    kernel.lease("private words", user_id=key(alice))
    await kernel.until(lambda: kernel.acks)
    assert "alert: WhatsApp refuses to send" in caplog.text
    assert await gateway.count('graph_operator_errors_total{code="131031"}') == 1
    assert "private words" not in caplog.text
    assert alice.user_id not in caplog.text


async def test_a_wrong_address_loses_no_reply(
    alice: Phone, gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.graph.before.fail(404, body="<html>Not here</html>")
    kernel.lease("hi", user_id=key(alice))
    await kernel.until(lambda: kernel.acks)
    (ack,) = kernel.acks
    assert (ack.outcome, ack.retry_after, ack.error_code) == (
        "retry",
        300,
        "http_404",
    )
    assert await gateway.count('graph_operator_errors_total{code="http_404"}') == 1


async def test_a_connection_lost_after_the_request_is_unknown_and_not_repeated(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.graph.after.fail(status=0)
    kernel.lease("hi", user_id=key(alice))
    await kernel.until(lambda: kernel.acks)
    (ack,) = kernel.acks
    assert ack.outcome == "in_doubt"
    assert ack.error_code == "connection_lost"
    assert len(sends(emulators)) == 1


async def test_an_answer_that_does_not_come_in_time_is_unknown(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_sender, "SEND_SECONDS", 0.3)
    hold = emulators.whatsapp.graph.after.hold()
    kernel.lease("hi", user_id=key(alice))
    await kernel.until(lambda: kernel.acks)
    hold.release()
    assert [(ack.outcome, ack.error_code) for ack in kernel.acks] == [("in_doubt", "timeout")]


@pytest.mark.parametrize("user_id", ["telegram:42", "whatsapp:Ann", "whatsapp:"])
async def test_a_reply_that_cannot_be_sent_fails_permanently(
    gateway: Gateway, kernel: FakeKernel, emulators: Emulators, user_id: str
) -> None:
    kernel.lease("hi", user_id=user_id)
    kernel.lease(" ", user_id="whatsapp:US.1", id="rp_2")
    await kernel.until(lambda: len(kernel.acks) == 2)
    assert {ack.error_code for ack in kernel.acks} == {"recipient_unreadable", "nothing_to_send"}
    assert {ack.outcome for ack in kernel.acks} == {"failed"}
    assert emulators.effects.all() == []


async def test_an_acknowledgement_that_fails_is_repeated_and_the_send_is_not(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    failures = iter([(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE"), (code_pb2.INTERNAL, "INTERNAL")])
    kernel.refusals["AckOutbox"] = lambda _: next(failures, None)
    kernel.lease("hi", user_id=key(alice))
    await kernel.until(lambda: kernel.acks)
    assert [ack.outcome for ack in kernel.acks] == ["sent"]
    assert len(sends(emulators)) == 1


async def test_an_unreadable_acknowledgement_does_not_take_others_with_it(
    alice: Phone, gateway: Gateway, kernel: FakeKernel
) -> None:
    kernel.gates["AckOutbox"] = asyncio.Event()
    kernel.lease("first", user_id=key(alice), id="rp_first")
    await kernel.until(lambda: "AckOutbox" in kernel.calls)
    kernel.refusals["AckOutbox"] = lambda request: (
        (code_pb2.INVALID_ARGUMENT, "FIELD_INVALID")
        if any(ack.part.part.reply_id == "rp_bad" for ack in request.acknowledgements)
        else None
    )
    for name in ("rp_bad", "rp_good"):
        kernel.lease("more", user_id=key(alice), id=name)
        await alice.wait_for_message(lambda message: message.text == "more")
    kernel.gates["AckOutbox"].set()
    await kernel.until(lambda: len(kernel.acks) == 2)
    assert [ack.part.reply_id for ack in kernel.acks] == ["rp_first", "rp_good"]


async def test_acknowledgements_that_are_ready_together_go_together(alice: Phone, kernel: FakeKernel) -> None:
    kernel.gates["AckOutbox"] = asyncio.Event()
    kernel.lease(LONG, user_id=key(alice))
    await alice.wait_for_message(lambda message: message.text.startswith("2"))
    kernel.gates["AckOutbox"].set()
    await kernel.until(lambda: len(kernel.acks) == 3)
    assert len(kernel.ack_calls) <= 2


async def test_an_acknowledgement_is_held_unless_the_next_reply_waits_for_it(
    start_gateway: Start, kernel: FakeKernel, emulators: Emulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "GATHER_SECONDS", 3600)
    gateway: Gateway = await start_gateway()
    alice = emulators.whatsapp.add_phone("Alice")
    await alice.send("hello")
    for name in ("after a quiet period", "held"):
        kernel.lease(name, user_id=key(alice), id=f"rp_{len(alice.received)}")
        await alice.wait_for_message()
    await kernel.until(lambda: kernel.acks)
    kernel.lease("before another", user_id=key(alice), id="rp_2", has_next=True)
    await kernel.until(lambda: len(kernel.acks) == 3)
    assert [[ack.part.part.reply_id for ack in call.acknowledgements] for call in kernel.ack_calls] == [
        ["rp_0"],
        ["rp_1", "rp_2"],
    ]
    await gateway.stop()


async def test_a_delayed_person_does_not_delay_another(alice: Phone, kernel: FakeKernel, emulators: Emulators) -> None:
    bob = emulators.whatsapp.add_phone("Bob")
    await bob.send("hi")
    hold = emulators.whatsapp.graph.before.hold(lambda call: call.person == alice.user_id)
    kernel.lease(LONG, user_id=key(alice), id="rp_a1")
    kernel.lease("3 after it", user_id=key(alice), id="rp_a2")
    await hold.reached.wait()
    kernel.lease("bob", user_id=key(bob), id="rp_b")
    await bob.wait_for_message()
    assert alice.received == []
    hold.release()
    await kernel.until(lambda: len(kernel.acks) == 5)
    assert [message.text[0] for message in alice.received] == ["0", "1", "2", "3"]


async def test_the_stream_is_pulled_again_when_it_ends_and_when_the_service_returns(
    alice: Phone, kernel: FakeKernel, running_kernel: Running
) -> None:
    kernel.end_stream()
    await kernel.until(lambda: len(kernel.pulls) == 2)
    await running_kernel.stop()
    await running_kernel.start()
    await kernel.until(lambda: len(kernel.pulls) == 3)


async def test_typing_is_shown_each_time_the_service_says_so(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    asked = alice.messages[0].id
    seen = 0
    for _ in range(2):
        kernel.show_typing(NUMBER, key(alice), asked)
        shown = await emulators.effects.wait_for(lambda effect: effect.kind == "graph_read", after=seen)
        assert (shown.key, shown.detail["typing"]) == (asked, True)
        seen = shown.number


async def test_the_answer_ends_the_typing_that_came_right_before_it(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    hold = emulators.whatsapp.graph.before.hold()
    kernel.show_typing(NUMBER, key(alice), alice.messages[0].id)
    kernel.lease("Hello", user_id=key(alice))
    await hold.reached.wait()
    hold.release()
    await alice.wait_for_message()
    assert alice.typing_until == 0


async def test_stopping_finishes_and_settles_replies_in_progress(
    alice: Phone, gateway: Gateway, kernel: FakeKernel, emulators: Emulators
) -> None:
    hold = emulators.whatsapp.graph.before.hold()
    kernel.lease(LONG, user_id=key(alice))
    await hold.reached.wait()
    stopping = asyncio.create_task(gateway.stop())
    hold.release()
    await stopping
    assert list(dict.fromkeys(ack.part.part for ack in kernel.acks)) == [1, 2, 3]  # one may be repeated by its rpc


async def test_stopping_answers_the_webhooks_in_progress(alice: Phone, gateway: Gateway, kernel: FakeKernel) -> None:
    kernel.gates["HandleMessage"] = asyncio.Event()
    already = kernel.calls.count("HandleMessage")
    delivery = asyncio.create_task(alice.send("last words"))
    await kernel.until(lambda: kernel.calls.count("HandleMessage") > already)
    stopping = asyncio.create_task(gateway.stop())
    kernel.gates["HandleMessage"].set()
    await asyncio.gather(delivery, stopping)
    assert kernel.texts_of(key(alice)) == ["hello", "last words"]
