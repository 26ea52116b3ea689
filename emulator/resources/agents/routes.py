"""/api/agent: what the agent says that hammr started (`scanner/agent/hammr.py`). JSON, and parts as they are."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from emulator.errors import Busy, Conflict, TooLarge
from emulator.jobs.kinds import ENDED
from emulator.resources.agents import downloads
from emulator.resources.agents import service as agents
from emulator.resources.agents.ingest import Ingest
from emulator.resources.users.tables import User
from emulator.service import Service, TheService, user
from emulator.wire.answer import nothing, ours
from scanner.host import clock

router = APIRouter(prefix="/agent")
POLL = 20.0
"""Seconds after which an agent that waits for an order is told to ask again."""
PAUSE = 0.1
LARGEST_PART = 2 << 20


class Hello(BaseModel):
    """An agent that wants to know whom it speaks with."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    nonce: str = Field(min_length=16, max_length=128)


class Gone(BaseModel):
    """An agent that will not report."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    reason: str = Field(max_length=4096)
    proof: str = Field(max_length=128)


class Announcement(BaseModel):
    """An agent that is about to scan."""

    model_config = ConfigDict(extra="forbid")

    agent: str
    name: str
    overlay: bool = False
    exclude: list[str] = []
    system: dict[str, str] = {}
    node: str = ""


class Ending(BaseModel):
    """The last word on an answer."""

    model_config = ConfigDict(extra="forbid")

    parts: int = Field(ge=0)
    error: str = ""


@router.post("/hello")
def hello(asked: Hello, here: TheService) -> Response:
    """The proof that this is the service that the agent came from: no login yet."""
    return ours("agent", {"proof": downloads.proof(downloads.find(here, asked.agent), "service " + asked.nonce)})


@router.post("/gone")
def gone(told: Gone, here: TheService) -> Response:
    """An agent tells that it cannot go on, and why."""
    downloads.gone(here, told.agent, told.reason, told.proof)
    return ours("agent", {})


def starter(request: Request, here: TheService) -> User:
    """Who started the agent. Raises `Unauthorized`, `Forbidden`."""
    header = request.headers.get("authorization")
    return user(request, here) if header is None else here.authenticator.agent(header)


TheStarter = Annotated[User, Depends(starter)]


@router.get("/login")
def login(asking: TheStarter) -> Response:
    """Whether the login of an agent that only tries is right."""
    return ours("agent", {"login": asking.login})


@router.post("/scans")
def announce(told: Announcement, here: TheService, asking: TheStarter) -> Response:
    """A new scan; what follows carries its token instead of a login."""
    scan, token = agents.begin(here, asking, told.agent, told.name, told.overlay, told.exclude, told.system, told.node)
    return ours("agent", {"scan": scan.id, "name": scan.name, "token": token}, 201)


def on_its_way(sid: int, here: TheService, authorization: Annotated[str, Header()] = "") -> Ingest:
    """The scan of the token. Raises `Unauthorized`."""
    return here.ingests.find(sid, authorization.removeprefix("Bearer "))


TheIngest = Annotated[Ingest, Depends(on_its_way)]


@router.get("/scans/{sid}/orders/{number}")
async def order(sid: int, number: int, here: TheService, ingest: TheIngest) -> Response:
    """The order as soon as there is one: `arguments` and whether there are `paths`; `ended` when the scan is over; else `wait`."""
    deadline = clock.monotonic() + POLL
    while clock.monotonic() < deadline and not here.stopping.is_set():
        said, state = await asyncio.to_thread(_look, here, ingest, number)
        if said is not None:
            return Response(said, media_type="application/json")
        if state in ENDED:
            here.ingests.forget(sid)
            here.folders.discard(ingest.exchange.folder)
            return ours("order", {"ended": state})
        await asyncio.sleep(PAUSE)
    return ours("order", {"wait": True})


def _look(here: Service, ingest: Ingest, number: int) -> tuple[bytes | None, str]:
    try:
        ingest.exchange.touch()
        said = ingest.exchange.ordered(number)
    except FileNotFoundError:
        said = None
    return said, here.ledger.get(ingest.job_id).state


@router.get("/scans/{sid}/orders/{number}/paths")
def paths(number: int, ingest: TheIngest) -> Response:
    """What the order's `--paths -` reads: NUL-separated raw bytes."""
    try:
        return Response(ingest.exchange.paths(number).read_bytes(), media_type="application/octet-stream")
    except FileNotFoundError as error:
        raise _over() from error


@router.put("/scans/{sid}/orders/{number}/parts/{part}")
async def put(number: int, part: int, request: Request, ingest: TheIngest, x_sha256: Annotated[str, Header()]) -> Response:
    """Part `part` of the answer. One that was damaged on its way is asked for again (503)."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > LARGEST_PART:
            raise TooLarge(f"a part has at most {LARGEST_PART} bytes")
    if hashlib.sha256(data).hexdigest() != x_sha256:
        raise Busy("the part was damaged on its way: send it again")
    try:
        await asyncio.to_thread(ingest.put, number, part, bytes(data))
    except FileNotFoundError as error:
        raise _over() from error
    return nothing()


@router.post("/scans/{sid}/orders/{number}/end")
def end(number: int, told: Ending, ingest: TheIngest) -> Response:
    """An agent tells that an order was carried out."""
    try:
        ingest.end(number, told.parts, told.error)
    except FileNotFoundError as error:
        raise _over() from error
    return nothing()


@router.post("/scans/{sid}/alive")
def alive(ingest: TheIngest) -> Response:
    """The agent is busy, and well."""
    try:
        ingest.exchange.touch()
    except FileNotFoundError as error:
        raise _over() from error
    return nothing()


def _over() -> Conflict:
    return Conflict("the scan is over")
