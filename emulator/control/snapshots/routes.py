"""/_forgelet/snapshots: the whole lab as it was, for administrators."""

from __future__ import annotations

import uuid
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from starlette.background import BackgroundTask

from emulator.control.snapshots.archive import pack, take_in
from emulator.control.snapshots.load import load as bring_back
from emulator.control.snapshots.save import save as keep
from emulator.control.snapshots.shelf import Shelf
from emulator.resources.uploads import save as receive
from emulator.service import TheAdmin, TheService
from emulator.wire.answer import nothing, our_collection, ours
from emulator.wire.download import Download

router = APIRouter(prefix="/snapshots")
Replace = Annotated[bool, Query(description="Take the place of one of the same name.")]


@router.get("")
def index(here: TheService, _asking: TheAdmin) -> Response:
    """Every snapshot that there is."""
    return our_collection("snapshots", "snapshot", [one.model_dump() for one in Shelf(here.folders.snapshots).all()])


@router.get("/{name}")
def show(name: str, here: TheService, _asking: TheAdmin) -> Response:
    """One snapshot: what is in it."""
    return ours("snapshot", Shelf(here.folders.snapshots).read(name).model_dump())


@router.post("/{name}")
def save(name: str, here: TheService, _asking: TheAdmin, replace: Replace = False) -> Response:
    """Save everything under that name."""
    return ours("snapshot", keep(here, name, replace=replace).model_dump(), 201)


@router.post("/{name}/load")
def load(name: str, here: TheService, _asking: TheAdmin) -> Response:
    """Everything is as it was; jobs that run are ended. Answers each instance with how it is now."""
    return ours("loaded", {"instances": bring_back(here, name)})


@router.delete("/{name}")
def delete(name: str, here: TheService, _asking: TheAdmin) -> Response:
    """Delete a snapshot."""
    Shelf(here.folders.snapshots).delete(name)
    return nothing()


@router.get("/{name}/archive")
def export(name: str, here: TheService, _asking: TheAdmin) -> Response:
    """The snapshot as `NAME.tar.zst`. It holds password hashes and the key of stored secrets."""
    shelf = Shelf(here.folders.snapshots)
    packed = shelf.folder / f".{uuid.uuid4().hex}.tar.zst"
    try:
        pack(shelf.find(name), packed)
    except BaseException:
        packed.unlink(missing_ok=True)
        raise
    return Download(packed, media_type="application/zstd", filename=f"{name}.tar.zst", background=BackgroundTask(packed.unlink, missing_ok=True))


@router.post("")
async def take(request: Request, here: TheService, _asking: TheAdmin, name: str = "", replace: Replace = False) -> Response:
    """A snapshot from an archive, under its own name unless one is given."""
    shelf = Shelf(here.folders.snapshots)
    packed = shelf.folder / f".{uuid.uuid4().hex}.tar.zst"
    try:
        await receive(request, packed)
        made = await to_thread.run_sync(lambda: take_in(shelf, packed, name, replace=replace))
    finally:
        packed.unlink(missing_ok=True)
    return ours("snapshot", made.model_dump(), 201)
