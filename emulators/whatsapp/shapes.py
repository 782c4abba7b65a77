"""The requests that the Graph API accepts at /messages: the fields and limits of each kind, and no others.

Source: developers.facebook.com/documentation/business-messaging/whatsapp/reference
"""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError


def at_most(units: int) -> AfterValidator:
    """Limits a text to UTF-16 code units: the strictest reading of Meta's "characters", which it does not define."""

    def check(text: str) -> str:
        if len(text.encode("utf-16-le", "surrogatepass")) // 2 > units:
            raise PydanticCustomError("string_too_long", "Too long", {"max_length": units})
        return text

    return AfterValidator(check)


Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+\S*$", max_length=2000)]
Title = Annotated[str, StringConstraints(min_length=1), at_most(20)]
RowTitle = Annotated[str, StringConstraints(min_length=1), at_most(24)]
Note = Annotated[str, StringConstraints(min_length=1), at_most(60)]
Caption = Annotated[str, at_most(1024)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Context(Shape):
    message_id: Id


class Send(Shape):
    """The common fields of all kinds. `to` is a phone number, `recipient` a BSUID; with both, `to` wins."""

    messaging_product: Literal["whatsapp"]
    recipient_type: Literal["individual"] = "individual"
    to: str = ""
    recipient: str = ""
    type: str = "text"
    context: Context | None = None
    biz_opaque_callback_data: Annotated[str, StringConstraints(max_length=512)] = ""


class Text(Shape):
    body: Annotated[str, StringConstraints(min_length=1), at_most(4096)]
    preview_url: bool = False


class TextSend(Send):
    text: Text


class Reaction(Shape):
    message_id: Id
    emoji: str


class ReactionSend(Send):
    reaction: Reaction


class Media(Shape):
    """A file by the id of an upload or by a link, never both."""

    id: Id | None = None
    link: Url | None = None

    @model_validator(mode="after")
    def one_source(self) -> Self:
        if (self.id is None) == (self.link is None):
            raise ValueError("Give exactly one of id and link.")
        return self


class Image(Media):
    caption: Caption = ""


class Document(Image):
    filename: str = ""


class Audio(Media):
    voice: bool = False


class Video(Image):
    pass


class Sticker(Media):
    pass


class FileSend(Send):
    """A send whose content is a file."""

    @property
    def file(self) -> Media:
        file: Media = getattr(self, self.type)
        return file


class ImageSend(FileSend):
    image: Image


class DocumentSend(FileSend):
    document: Document


class AudioSend(FileSend):
    audio: Audio


class VideoSend(FileSend):
    video: Video


class StickerSend(FileSend):
    sticker: Sticker


class Language(Shape):
    code: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")]
    policy: Literal["deterministic"] = "deterministic"


class TextParameter(Shape):
    type: Literal["text"]
    text: str


class BodyComponent(Shape):
    type: Literal["body"]
    parameters: list[TextParameter]


class PayloadParameter(Shape):
    type: Literal["payload"]
    payload: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class ButtonComponent(Shape):
    """Meta takes the index as a text or a number."""

    type: Literal["button"]
    sub_type: Literal["quick_reply"]
    index: Annotated[str, StringConstraints(pattern=r"^[0-9]$")] | Annotated[int, Field(ge=0, le=9)]
    parameters: Annotated[list[PayloadParameter], Field(min_length=1, max_length=1)]


class Template(Shape):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Language
    components: list[Annotated[BodyComponent | ButtonComponent, Field(discriminator="type")]] = []


class TemplateSend(Send):
    template: Template


class Header(Shape):
    type: Literal["text"]
    text: Note


class Body(Shape):
    text: Annotated[str, StringConstraints(min_length=1), at_most(1024)]


class Footer(Shape):
    text: Note


class Interactive(Shape):
    type: str
    body: Body
    header: Header | None = None
    footer: Footer | None = None


class Reply(Shape):
    id: Id
    title: Title


class ReplyButton(Shape):
    type: Literal["reply"]
    reply: Reply


class ButtonAction(Shape):
    buttons: Annotated[list[ReplyButton], Field(min_length=1, max_length=3)]

    @model_validator(mode="after")
    def unlike(self) -> Self:
        _refuse_repeated("id", [button.reply.id for button in self.buttons])
        _refuse_repeated("title", [button.reply.title for button in self.buttons])
        return self


class Buttons(Interactive):
    action: ButtonAction


class Row(Shape):
    id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    title: RowTitle
    description: Annotated[str, at_most(72)] = ""


class Section(Shape):
    title: Annotated[str, StringConstraints(max_length=24)] = ""
    rows: Annotated[list[Row], Field(min_length=1)]


class ListAction(Shape):
    button: Title
    sections: Annotated[list[Section], Field(min_length=1, max_length=10)]

    @model_validator(mode="after")
    def within_limits(self) -> Self:
        rows = [row.id for section in self.sections for row in section.rows]
        if len(rows) > 10:
            raise ValueError("Total row count exceeds max allowed count: 10.")
        _refuse_repeated("row id", rows)
        if len(self.sections) > 1 and not all(section.title for section in self.sections):
            raise ValueError("With more than one section each needs a title.")
        return self


class Rows(Interactive):
    action: ListAction


class LinkParameters(Shape):
    display_text: Title
    url: Url


class LinkAction(Shape):
    name: Literal["cta_url"]
    parameters: LinkParameters


class Link(Interactive):
    action: LinkAction


class ButtonsSend(Send):
    interactive: Buttons


class ListSend(Send):
    interactive: Rows


class LinkSend(Send):
    interactive: Link


class Typing(Shape):
    type: Literal["text"]


class Read(Shape):
    """The read receipt of a message, with or without a typing indicator."""

    messaging_product: Literal["whatsapp"]
    status: Literal["read"]
    message_id: Id
    typing_indicator: Typing | None = None


def _refuse_repeated(what: str, values: list[str]) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"Duplicate {what} is not allowed: {repeated[0]}")
