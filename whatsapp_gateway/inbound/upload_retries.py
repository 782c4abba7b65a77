"""Parts whose status reports that their file failed: each is sent once more, with the file uploaded again."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.retry_policy import remedy_of_status
from whatsapp_gateway.model.updates import Status

MOST_REMEMBERED: Final = 10_000


class UploadRetries:
    """The parts that were retried, as far as this process remembers. Takes statuses of failures only."""

    def __init__(self) -> None:
        self._retried: OrderedDict[str, None] = OrderedDict()

    def classified(self, status: Status) -> Status:
        """The status, with `upload_again` set if its part must be sent once more."""
        return replace(status, upload_again=_failed_for_file(status) and status.callback_id not in self._retried)

    def reported(self, status: Status) -> None:
        """The kernel service has the status: its part counts as retried."""
        if _failed_for_file(status):
            self._retried[status.callback_id] = None
            if len(self._retried) > MOST_REMEMBERED:
                self._retried.popitem(last=False)


def _failed_for_file(status: Status) -> bool:
    return remedy_of_status(status.error_code) is Remedy.REUPLOAD
