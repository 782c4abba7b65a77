"""Kills of a service for the page to show: how long it was away, and whether every message was answered once."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from emulators.effects import Effects
from emulators.whatsapp.feed import Feed
from emulators.whatsapp.kill_switch import KillSwitch
from emulators.whatsapp.latest_turns import LatestTurns
from emulators.whatsapp.page_bodies import posted, text_in
from emulators.whatsapp.phones import Phone


@dataclass(slots=True)
class _Kill:
    """The latest one. `after` is the number of the last effect before it."""

    service: str
    at: float
    after: int
    seconds: float | None = None
    waiting: int | None = None

    @property
    def is_settled(self) -> bool:
        return self.seconds is not None and self.waiting == 0


class Crashes:
    """`POST /phones/kills` with {service} kills it, and `crash` events tell the page what follows.

    `state` is {services, kill}. A kill is {service, at, seconds, waiting, answers, twice}: `seconds` until the service
    was ready again, `waiting` the messages that are not answered yet, both null while unknown. `answers` counts the
    texts that were sent since, and `twice` those of them that were sent twice.
    """

    def __init__(
        self,
        switch: KillSwitch,
        feed: Feed,
        *,
        phones: Iterable[Phone],
        effects: Effects,
        turns: LatestTurns,
        now: Callable[[], float],
    ) -> None:
        self.switch = switch
        self._phones = phones
        self._effects = effects
        self._turns = turns
        self._feed = feed
        self._now = now
        self._kill: _Kill | None = None
        self._taken = 0
        """The people's messages that a service had accepted when the kernel service was asked last."""
        switch.changed = self._publish
        switch.killed = self._killed
        switch.restarted = self._restarted

    @property
    def state(self) -> dict[str, Any]:
        return {"services": self.switch.services, "kill": self._told(self._kill) if self._kill else None}

    def mount(self, app: web.Application) -> None:
        app.router.add_post("/phones/kills", self._ask)

    def look(self, system: dict[str, Any]) -> None:
        """Take the latest state of the people: whether anything waits.

        The kernel service was asked after the previous look. A message that was accepted since then may be missing.
        """
        taken_before, (taken, written) = self._taken, self._messages()
        self._taken = taken
        kill = self._kill
        if kill is None or kill.seconds is None or kill.is_settled or system["problem"]:
            return
        counted = written - taken + sum(person.get("waiting", 0) for person in system["people"])
        waiting = counted or max(0, written - taken_before)
        if waiting != kill.waiting:
            kill.waiting = waiting
            self._publish()

    def _messages(self) -> tuple[int, int]:
        """The number of messages that were accepted, and of those that people wrote."""
        written = [message for phone in self._phones for message in phone.messages if message.mine]
        return sum(message.ticks != "sent" for message in written), len(written)

    async def _ask(self, request: web.Request) -> web.Response:
        # Programs on this machine send no origin: only the page's own buttons kill.
        if request.headers.get(hdrs.ORIGIN) != f"{request.scheme}://{request.host}":
            raise web.HTTPForbidden(text="only the phones page may do this")
        service = text_in(await posted(request), "service", 100)
        try:
            self.switch.kill(service)
        except LookupError as problem:
            raise web.HTTPConflict(text=f"service: {problem}") from None
        return web.Response(status=202)

    def _killed(self, service: str) -> None:
        self._kill = _Kill(service, self._now(), after=len(self._effects.all()))
        self._turns.mark("killed", self._now(), service)
        self._publish()

    def _restarted(self, service: str, seconds: float) -> None:
        if self._kill is not None and self._kill.service == service:
            self._kill.seconds = seconds
        self._turns.mark("restarted", self._now(), service)
        self._publish()

    def _publish(self) -> None:
        self._feed.publish("crash", self.state)

    def _told(self, kill: _Kill) -> dict[str, Any]:
        sent = self._effects.all("graph_send", after=kill.after)
        counted = Counter(effect.key for effect in self._effects.all("graph_send"))
        return {
            "service": kill.service,
            "at": kill.at,
            "seconds": kill.seconds,
            "waiting": kill.waiting,
            "answers": len(sent),
            "twice": sum(counted[key] > 1 for key in {effect.key for effect in sent}),
        }
