"""/_forgelet/journal: every request and every event of a job. An administrator sees all of it, others what is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from emulator.control.journal.book import KEPT, Entry, Wanted
from emulator.service import Service, TheAdmin, TheService, TheUser
from emulator.wire.answer import dumps, nothing, our_collection, ours
from scanner.errors import NotFound

router = APIRouter(prefix="/journal")
PAUSE, BREATH = 0.1, 15.0
"""Seconds between two looks, and after which a line says that the connection still lives."""
AT_ONCE = 200
LONG = frozenset({"headers", "request", "response"})


def wanted(
    asking: TheUser,
    kind: Literal["", "request", "job"] = "",
    user: str = "",
    method: str = "",
    path: str = "",
    operation: str = "",
    status: Annotated[str, Query(pattern=r"^([1-5](\d\d|xx))?$")] = "",
    job: int = 0,
    unread: bool = False,
    after: Annotated[int, Query(ge=0)] = 0,
) -> Wanted:
    """What is asked for; `operation` is any name that faults know too. Raises `UserError`."""
    from emulator.routing import operations

    texts = tuple(one.text for one in operations().named(operation, reach=True)) if operation else ()
    return Wanted(kind, user if asking.admin else asking.login, method, path, texts, status, job, unread, after)


TheWanted = Annotated[Wanted, Depends(wanted)]
Limit = Annotated[int, Query(ge=1, le=KEPT)]


@router.get("")
def index(here: TheService, asked: TheWanted, limit: Limit = 100, bodies: bool = False) -> Response:
    """The last entries, oldest first; without `bodies` briefly."""
    return our_collection("journal", "entry", [one if bodies else _brief(one) for one in _read(here, asked, limit)])


@router.get("/har")
def har(request: Request, here: TheService, asked: TheWanted, limit: Limit = KEPT) -> Response:
    """The requests among them as HAR 1.2."""
    from emulator.control.journal.har import har as written

    return ours("har", written(_read(here, asked, limit), str(request.base_url).rstrip("/")))


@router.get("/events")
def follow(here: TheService, asked: TheWanted, last_event_id: Annotated[int | None, Header()] = None) -> Response:
    """What happens from now on (or after `Last-Event-ID`, or `after`), live: server-sent events `request` and `job`."""
    _caught_up(here)
    start = last_event_id if last_event_id is not None else asked.after or here.journal.book.last()
    return StreamingResponse(_events(here, asked, start), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/{number}")
def show(number: int, here: TheService, asking: TheUser) -> Response:
    """One entry, whole."""
    _caught_up(here)
    found = here.journal.book.find(number)
    if found is None or not (asking.admin or found["user"] == asking.login):
        raise NotFound(f"the journal has no entry {number}", hint="forgelet journal list")
    return ours("entry", found)


@router.delete("")
def clear(here: TheService, _asking: TheAdmin) -> Response:
    """Forget all of it."""
    _caught_up(here)
    here.journal.book.clear()
    return nothing()


def _caught_up(here: Service) -> None:
    here.journal.book.flush()
    here.journal.catch_up()


def _read(here: Service, asked: Wanted, limit: int) -> list[Entry]:
    _caught_up(here)
    return here.journal.book.read(asked, limit)


def _brief(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in LONG}


async def _events(here: Service, asked: Wanted, start: int) -> AsyncIterator[str]:
    from dataclasses import replace

    quiet = 0.0
    yield ": the journal\n\n"
    while not here.stopping.is_set():
        found = await asyncio.to_thread(_after, here, replace(asked, after=start))
        for one in found:
            start = one["id"]
            yield f"id: {start}\nevent: {one['kind']}\ndata: {dumps(_brief(one))}\n\n"
        quiet = 0.0 if found else quiet + PAUSE
        if quiet >= BREATH:
            quiet = 0.0
            yield ": still here\n\n"
        if len(found) < AT_ONCE:
            await asyncio.sleep(PAUSE)


def _after(here: Service, asked: Wanted) -> list[Entry]:
    here.journal.catch_up()
    return here.journal.book.read(asked, AT_ONCE, oldest=True)
