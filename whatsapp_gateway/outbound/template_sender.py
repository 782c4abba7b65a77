"""Sends one template to one person: the best one that WhatsApp takes now."""

from collections.abc import Callable, Sequence
from typing import Final

from whatsapp_gateway.graph.advice import advice
from whatsapp_gateway.graph.api import Ambiguous, GraphApi, Refused, Sent
from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.retry_policy import retry_delay
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.invitations import InvitationName
from whatsapp_gateway.outbound.rendering import Body
from whatsapp_gateway.outbound.template_faults import HELD, OF_THE_TEMPLATE, OF_THE_TEXT
from whatsapp_gateway.outbound.template_health import TemplateHealth
from whatsapp_gateway.outbound.template_messages import Template

SEND_SECONDS: Final = 15.0
FIRST_WAIT: Final = 60.0
LONGEST_WAIT: Final = 3600.0
ALERT_SECONDS: Final = 24 * 3600.0
_PASSING: Final = frozenset({Remedy.RETRY, Remedy.BACK_OFF, Remedy.OPEN_CIRCUIT, Remedy.HOLD_PERSON})
"""The remedies of refusals that end, by themselves or by the operator's work."""

_Result = Sent | Refused | Ambiguous


class TemplateSender:
    """now is a monotonic clock in seconds."""

    def __init__(
        self, graph: GraphApi, metrics: Metrics, templates: Sequence[Template], now: Callable[[], float]
    ) -> None:
        self._graph = graph
        self._metrics = metrics
        self._now = now
        self._health = {template: TemplateHealth(template.name, metrics, now) for template in templates}
        self._alerted_at: dict[str, float] = {}

    @property
    def pause(self) -> float:
        """Seconds until any template may be sent; 0: one may be sent now."""
        return min((health.pause for health in self._health.values()), default=0.0)

    def templates_for(self, reminder: str) -> list[Template]:
        """For a reply with this reminder (empty: it is none), the best first."""
        return sorted(
            (each for each in self._health if reminder or not each.takes_reminder),
            key=lambda each: not each.takes_reminder,
        )

    async def send(self, number: str, to: Body, reminder: str, name: InvitationName) -> float | None:
        """Ask a person to write. Returns the seconds until another attempt, if none was sent. `name` lacks its kind.

        None: they were asked, or an attempt on the same day would be refused, too. A template that may have been sent
        counts as sent.
        """
        templates = self.templates_for(reminder)
        for template in templates:
            health = self._health[template]
            async with health.attempt() as may_send:
                if not may_send:
                    continue
                body = to | {"biz_opaque_callback_data": str(name._replace(kind=template.kind))}
                result = await self._send(number, body, template, reminder)
                if isinstance(result, Sent):
                    health.accepted()
                    self._note_held(template, result)
                if isinstance(result, Refused) and result.code in OF_THE_TEMPLATE:
                    health.refused(result.code)
                    continue
            return self._wait_after(template, result, name.attempt)
        return min(self._health[template].pause for template in templates)

    def _wait_after(self, template: Template, result: _Result, attempt: int) -> float | None:
        """The seconds until another attempt after this result; None: none on the same day."""
        self._metrics.templates.labels("sent" if isinstance(result, Sent) else "failed").inc()
        if not isinstance(result, Refused):
            return None
        self._metrics.graph_errors.labels(result.code).inc()
        if result.remedy in _PASSING:
            backoff: float = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT)
            return max(result.wait, retry_delay(result.remedy, attempt), backoff)
        self._alert_once(template, "did not deliver", result.code)
        return None

    def works(self, name: str, language: str) -> bool:
        """WhatsApp takes a template from now on. Returns whether it is one of ours."""
        ours = [each for each in self._health if (each.name, each.language) == (name, language)]
        for template in ours:
            self._health[template].resume()
        return bool(ours)

    def refused_later(self, kind: str, code: str, remedy: Remedy, attempt: int) -> float | None:
        """As `send`, for a template of this kind that WhatsApp had accepted. One person's text pauses no template."""
        template = next((each for each in self._health if each.kind == kind), None)
        if template is None:
            return None
        if code in OF_THE_TEMPLATE - OF_THE_TEXT:
            self._metrics.graph_errors.labels(code).inc()
            self._health[template].refused(code)
            return self.pause
        return self._wait_after(template, Refused(code, remedy), attempt)

    async def _send(self, number: str, body: Body, template: Template, reminder: str) -> _Result:
        """If WhatsApp refuses the reminder's text, without it: one person's text pauses no template."""
        text, *others = template.texts(reminder)
        result = await self._graph.send(number, body | template.message(text), SEND_SECONDS)
        if others and isinstance(result, Refused) and result.code in OF_THE_TEXT:
            return await self._send(number, body, template, "")
        return result

    def _note_held(self, template: Template, result: Sent) -> None:
        if result.status in HELD:
            self._alert_once(template, "holds", result.status)

    def _alert_once(self, template: Template, does: str, code: str) -> None:
        """Once a day for each code, and not for each person."""
        now = self._now()
        if now - self._alerted_at.get(code, now - ALERT_SECONDS) >= ALERT_SECONDS:
            self._alerted_at[code] = now
            self._metrics.alert("template", f"WhatsApp {does} template {template.name}: {code}: {advice(code)}")
