"""/_forgelet/seeds: what shall be there, by name. For administrators."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from emulator.control.seeds.wanted import Seeds
from emulator.service import TheAdmin, TheService
from emulator.wire.answer import nothing, our_collection, ours

router = APIRouter(prefix="/seeds")


class SeedRequest(BaseModel):
    """A seed as YAML; paths in it begin at `base`, on the service's machine."""

    model_config = ConfigDict(extra="forbid")

    text: str
    base: str = "/"


@router.get("")
def index(here: TheService, _asking: TheAdmin) -> Response:
    """The seeds that the service knows, by name."""
    return our_collection("seeds", "seed", [{"name": name} for name in Seeds(here.folders.seeds).names()])


@router.get("/{name}")
def show(name: str, here: TheService, _asking: TheAdmin) -> Response:
    """A seed as it was given, and where its paths begin."""
    return ours("seed", {"name": name, **Seeds(here.folders.seeds).told(name)})


@router.put("/{name}")
def put(name: str, asked: SeedRequest, here: TheService, _asking: TheAdmin) -> Response:
    """Keep it. Refused with every mistake."""
    seed = Seeds(here.folders.seeds).put(name, asked.text, Path(asked.base))
    counts = {kind: len(getattr(seed, kind)) for kind in type(seed).model_fields}
    return ours("seed", {"name": name, **counts})


@router.delete("/{name}")
def delete(name: str, here: TheService, _asking: TheAdmin) -> Response:
    """Forget a seed; what it made stays."""
    Seeds(here.folders.seeds).delete(name)
    return nothing()


@router.post("/{name}/apply")
def apply(name: str, here: TheService, _asking: TheAdmin, wait: bool = True) -> Response:
    """Make what is missing of it. Without `wait` at once: health says when it is ready."""
    seed, base = Seeds(here.folders.seeds).get(name)
    sown = here.seeding.begin(name, seed, base)
    return ours("seed", sown.wait() if wait else sown.told(), 200 if wait else 202)
