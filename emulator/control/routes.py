"""/_forgelet: capabilities, reset, the cache."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from emulator.control.reset import Emptied
from emulator.control.reset import reset as empty
from emulator.control.rotation import rotate
from emulator.control.seeds.wanted import Seeds
from emulator.errors import Forbidden
from emulator.resources.users import service as users
from emulator.service import TheAdmin, TheService, TheUser
from emulator.wire.answer import ours
from scanner.errors import UserError

router = APIRouter()


@router.get("/capabilities")
def capabilities(here: TheService) -> Response:
    """What this machine can do, each with the reason where it cannot."""
    return ours("capabilities", {"capabilities": here.capabilities.all()})


@router.post("/reset")
def reset(here: TheService, asking: TheUser, cache: bool = False, user: str | None = None, seed: str = "") -> Response:
    """Empty everything, or what one user has; users stay, and the build cache unless `cache` is set. Answers what went: `removed`, rows by
    table, and `givenBack`, counts of `domains`, `blobs` and `clouds` (begun there by jobs that were ended), given back behind it.

    With `seed` everything that the seed of that name asks for is there when this answers.

    Without `user` for an administrator only; every user may empty what is his.
    """
    if user is None and not asking.admin:
        raise Forbidden("only an administrator may empty the whole service", hint=f"forgelet reset --of {asking.login} empties what is yours")
    if user not in (None, asking.login) and not asking.admin:
        raise Forbidden(f"what belongs to '{user}' is not yours", hint=f"forgelet reset --of {asking.login}")
    if seed and user is not None:
        raise UserError("a seed is for the whole service, not for one user", hint="leave `user` or `seed` away")
    with here.database.read() as session:
        whose = users.find(session, user) if user is not None else None
    wanted = Seeds(here.folders.seeds).get(seed) if seed else None
    if wanted is None:
        return ours("reset", _told(empty(here, user=whose, cache=cache)))
    with here.seeding.halted():
        emptied = empty(here, cache=cache)
        sown = here.seeding.begin(seed, *wanted)
    return ours("reset", {**_told(emptied), "seed": sown.wait()})


def _told(emptied: Emptied) -> dict[str, Any]:
    return {"removed": emptied.removed, "givenBack": emptied.given_back}


@router.get("/reset")
def reaping(here: TheService, _asking: TheUser) -> Response:
    """Whether everything that resets took away has been given back: `pending`, and what was given back, in words."""
    return ours("reset", here.reaping.state())


@router.post("/secrets/rotation")
def rotation(here: TheService, _asking: TheAdmin) -> Response:
    """A new key for the secrets at rest; `resealed`: how many there are."""
    return ours("rotation", {"resealed": rotate(here)})


@router.get("/cache")
def cached(here: TheService, _asking: TheUser) -> Response:
    """What is in the build cache, what was used last first; and how much there may be, in bytes."""
    from builders.cache import entries

    found = entries(here.folders.cache)
    return ours("cache", {"size": sum(one.size for one in found), "limit": here.settings.cache_size * 2**20, "entries": {"entry": [one.told() for one in found]}})


@router.post("/cache/prune")
def prune(here: TheService, _asking: TheAdmin, size: Annotated[int | None, Query(ge=0)] = None) -> Response:
    """Remove what was used longest ago until `size` MiB are left, the setting's unless given; for an administrator. Answers what went."""
    from builders.cache import prune as cut

    gone = cut(here.folders.cache, (here.settings.cache_size if size is None else size) * 2**20)
    return ours("cache", {"removed": {"entry": [one.told() for one in gone]}})
