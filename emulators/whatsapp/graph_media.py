"""The Graph API's media endpoints: upload, address, download and deletion of a file."""

from collections.abc import Awaitable, Callable

from aiohttp import BodyPartReader, web

from emulators.effects import Effects
from emulators.faults import Call, Fault, Faults, drop
from emulators.whatsapp.errors import GraphError
from emulators.whatsapp.graph_caller import Caller, no_such_object
from emulators.whatsapp.media import UPLOADABLE, UPLOADED_SECONDS, MediaFile, MediaStore, too_large

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class GraphMedia:
    """`POST /graph/{version}/{number}/media`, `GET|DELETE /graph/{version}/{media id}`, and the bytes' address.

    `faults` apply first; in their calls `path` is `/{number}/media`, `/media/{id}` or `/attachments/`. While `leads_to`
    is set, it is returned as the address of every file. While `moved_to` is set, the address of a file redirects there.
    """

    def __init__(self, caller: Caller, store: MediaStore, effects: Effects) -> None:
        self.faults = Faults()
        self.leads_to = ""
        self.moved_to = ""
        self._caller = caller
        self._store = store
        self._effects = effects

    def mount(self, app: web.Application) -> None:
        app.router.add_post("/graph/{version}/{number}/media", self._answering(self._upload))
        app.router.add_get("/graph/{version}/{media:[0-9]+}", self._answering(self._where))
        app.router.add_delete("/graph/{version}/{media:[0-9]+}", self._answering(self._delete))
        app.router.add_get("/attachments/{token}", self._bytes)

    def _answering(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except GraphError as refusal:
                return web.json_response(refusal.body(), status=refusal.status)

        return handle

    async def _upload(self, request: web.Request) -> web.Response:
        number = self._caller.check_number(request)
        if request.content_type != "multipart/form-data":
            raise GraphError(100, "(#100) The parameter messaging_product is required.")
        fields, data, mime_type = await _form(request)
        if fault := await self._fault(request, f"/{number}/media"):
            return _failed(request, fault)
        if fields.get("messaging_product") != "whatsapp":
            raise GraphError(100, "(#100) The parameter messaging_product is required.")
        if data is None:
            raise GraphError(100, "(#100) The parameter file is required.")
        mime_type = fields.get("type") or mime_type
        _check_type(mime_type)
        if too_large(mime_type, len(data)):
            raise GraphError(131053, details="Media file is larger than its type may be.")
        file = self._store.keep(data, mime_type, UPLOADED_SECONDS)
        self._effects.record("media_uploaded", key=file.id, sha256=file.digest.hex(), mime_type=mime_type)
        return web.json_response({"id": file.id})

    async def _where(self, request: web.Request) -> web.StreamResponse:
        self._caller.check(request)
        file = self._known(request)
        if fault := await self._fault(request, f"/media/{file.id}"):
            return _failed(request, fault)
        # Use the origin of this request: the service fetches the bytes, and may reach us elsewhere than browsers do.
        url = self.leads_to or f"{request.url.origin()}/attachments/{self._store.address_of(file)}"
        answer = {"messaging_product": "whatsapp", "id": file.id, "url": url, "mime_type": file.mime_type}
        return web.json_response(answer | {"sha256": file.digest.hex(), "file_size": len(file.data)})

    async def _delete(self, request: web.Request) -> web.Response:
        self._caller.check(request)
        self._store.delete(self._known(request).id)
        return web.json_response({"success": True})

    async def _bytes(self, request: web.Request) -> web.StreamResponse:
        """Answers 401 without the bearer token and 404 for an expired address, without the Graph API's JSON."""
        try:
            self._caller.check_token(request)
        except GraphError:
            return web.Response(status=401)
        if fault := await self._fault(request, "/attachments/"):
            return _failed(request, fault)
        if self.moved_to:
            return web.Response(status=302, headers={"Location": self.moved_to})
        file = self._store.at(request.match_info["token"])
        if file is None:
            return web.Response(status=404)
        self._effects.record("media_downloaded", key=file.id, size=len(file.data))
        return web.Response(body=file.data, headers={"Content-Type": file.mime_type})

    def _known(self, request: web.Request) -> MediaFile:
        file = self._store.get(request.match_info["media"])
        if file is None:
            raise no_such_object(request.match_info["media"])
        return file

    async def _fault(self, request: web.Request, path: str) -> Fault | None:
        return await self.faults.pass_through(Call(request.method, path, {}, "", dict(request.headers)))


def _check_type(mime_type: str) -> None:
    if mime_type.partition(";")[0].strip().lower() not in UPLOADABLE:
        known = ", ".join(UPLOADABLE)
        told = f"(#100) Param file must be a file with one of the following types: {known}. Received file of type"
        raise GraphError(100, f"{told} '{mime_type}'.")


async def _form(request: web.Request) -> tuple[dict[str, str], bytes | None, str]:
    """The plain fields, the file's bytes, and the type in its part."""
    fields: dict[str, str] = {}
    data, mime_type = None, ""
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        if part.name == "file":
            data, mime_type = bytes(await part.read()), part.headers.get("Content-Type", "")
        elif part.name:
            fields[part.name] = await part.text()
    return fields, data, mime_type


def _failed(request: web.Request, fault: Fault) -> web.Response:
    if fault.status == 0:
        return drop(request)
    return web.Response(status=fault.status, text=fault.body or "", headers=fault.headers())
