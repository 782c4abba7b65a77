"""The phones, and the owners of addresses and messages."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.ids import phone_number, user_id
from emulators.whatsapp.phones import Carrier, Phone
from emulators.whatsapp.shapes import Send


@dataclass(frozen=True, slots=True)
class Stranger:
    """An addressee without a phone in the emulator."""

    user_id: str
    wa_id: str
    name: str = ""
    username: str = ""


class Directory:
    """The phones, in the order in which they were added."""

    def __init__(self) -> None:
        self._phones: dict[str, Phone] = {}
        self._by_number: dict[str, Phone] = {}
        self._senders: dict[str, Phone] = {}
        self._labels: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Phone]:
        return iter(self._phones.values())

    def __len__(self) -> int:
        return len(self._phones)

    def add(
        self,
        carrier: Carrier,
        label: str,
        *,
        name: str | None,
        bsuid: str | None,
        wa_id: str | None,
        username: str,
    ) -> Phone:
        """Add a phone. Ids that are not given are derived from the label, and are the same after a restart.

        Raises ValueError when the BSUID or the number belongs to another phone.
        """
        self._labels[label] += 1
        count = self._labels[label]
        phone = Phone(
            carrier,
            label=label,
            name=label if name is None else name,
            user_id=bsuid or user_id(label, count),
            wa_id=phone_number(label, count) if wa_id is None else wa_id,
            username=username,
        )
        if phone.user_id in self._phones or phone.wa_id in self._by_number:
            raise ValueError("another phone has this BSUID or number")
        self._phones[phone.user_id] = phone
        if phone.wa_id:
            self._by_number[phone.wa_id] = phone
        return phone

    def rename(self, phone: Phone, bsuid: str, wa_id: str) -> None:
        """Change the ids of the phone's person. Raises ValueError when one belongs to another phone."""
        if self._phones.get(bsuid, phone) is not phone or self._by_number.get(wa_id, phone) is not phone:
            raise ValueError("another phone has this BSUID or number")
        self._phones = {bsuid if one is phone else key: one for key, one in self._phones.items()}
        self._by_number = {number: one for number, one in self._by_number.items() if one is not phone}
        phone.user_id, phone.wa_id = bsuid, wa_id
        if wa_id:
            self._by_number[wa_id] = phone

    def get(self, bsuid: str) -> Phone | None:
        return self._phones.get(bsuid)

    def recipient(self, send: Send) -> Phone | None:
        """The phone that a send reaches; with both addresses the number counts."""
        if send.to:
            return self._by_number.get(_digits(send.to))
        return self._phones.get(send.recipient)

    def stranger(self, send: Send) -> Stranger:
        """The addressee of a send that reaches no phone."""
        return Stranger(user_id="" if send.to else send.recipient, wa_id=_digits(send.to))

    def wrote(self, phone: Phone, message: ChatMessage) -> None:
        """Remember the sender of a message."""
        self._senders[message.id] = phone

    def sender(self, wamid: str) -> Phone | None:
        return self._senders.get(wamid)


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)
