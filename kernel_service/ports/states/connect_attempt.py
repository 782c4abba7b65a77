"""An attempt to connect an account, from the link to the code."""

from __future__ import annotations

from typing import Final

from kernel_service.ports.connect_attempts import AWAITING_CODE, LIVE
from kernel_service.ports.connect_attempts import ConnectAttemptState as S
from kernel_service.ports.states.state_machine import StateMachine, Transition

_AT_THE_VENDOR: Final = (S.STARTED, *AWAITING_CODE)

CONNECT_ATTEMPT: Final = StateMachine(
    S,
    (
        Transition("a link is issued", (), S.OPEN),
        Transition("a browser claims the link", (S.OPEN,), S.CLAIMED),
        Transition("the browser is sent to the vendor", (S.CLAIMED,), S.STARTED),
        Transition("consent is given", (S.STARTED,), S.RETURNED),
        Transition("the correct code arrives", (S.RETURNED,), S.COMPLETING),
        Transition("the account is proven", _AT_THE_VENDOR, S.CONNECTED),
        Transition("consent is refused", (S.STARTED,), S.DENIED),
        Transition("its deadline passes", LIVE, S.LAPSED),
        Transition("the code comes from another person", AWAITING_CODE, S.WRONG_PERSON),
        Transition("too many wrong codes", AWAITING_CODE, S.WRONG_CODES),
        Transition("consent comes from another browser", (*_AT_THE_VENDOR, S.CONNECTED), S.WRONG_BROWSER),
        Transition("replaced, removed, or refused by the vendor", LIVE, S.REMOVED),
    ),
)
