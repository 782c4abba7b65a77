"""Parts that failed for their file afterwards: each is sent once more, with the file uploaded anew."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.outcomes import remedy_of_status
from whatsapp_gateway.model.messages import Status

MOST_REMEMBERED: Final = 10_000


class Reuploads:
    """Which parts have had their second chance, as far as this process remembers."""

    def __init__(self) -> None:
        self._had: OrderedDict[str, None] = OrderedDict()

    def judged(self, status: Status) -> Status:
        """The status, marked if its part is to be sent once more."""
        return replace(status, upload_again=_failed_for_file(status) and status.callback_id not in self._had)

    def reported(self, status: Status) -> None:
        """The kernel service knows it now."""
        if _failed_for_file(status):
            self._had[status.callback_id] = None
            if len(self._had) > MOST_REMEMBERED:
                self._had.popitem(last=False)


def _failed_for_file(status: Status) -> bool:
    return status.state == "failed" and remedy_of_status(status.error_code) is Remedy.UPLOAD_AGAIN
