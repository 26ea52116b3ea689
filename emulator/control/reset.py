"""Empty the service, or one user's part of it, at once. Users stay, with their keys and quotas, and the cache unless it is asked for.

Jobs are ended, rows deleted and folders moved aside while nobody else can write; what takes time is given back behind it
(`reaping.py`). So a request that comes after finds the service empty, and loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, select

from emulator.control import belongings
from emulator.folders import Folders
from emulator.jobs.clouds import leftovers, take_away
from emulator.resources.accounts.tables import local_account
from emulator.resources.users.tables import User
from emulator.service import Service
from scanner.host import chance, clock

ELSEWHERE = frozenset({"publication", "deployment"})
"""Tables whose rows may stand for something in a cloud."""


@dataclass(frozen=True, slots=True)
class Emptied:
    """What one reset took away."""

    removed: dict[str, int]
    """Table -> how many rows."""
    given_back: dict[str, int]
    """`domains`: virtual machines that are ended; `blobs`: reports, images, archives and the like that are deleted; `clouds`: what jobs that were
    not finished had begun in clouds elsewhere. It is given back behind the reset."""


def reset(here: Service, *, user: User | None = None, cache: bool = False) -> Emptied:
    """Of every user, or of one; the cache belongs to nobody and goes when asked."""
    number = user.id if user else None
    # What the seed that is being sown still makes is not there before it either.
    with here.seeding.halted() if user is None else nullcontext(), here.queue.halted(number) as ended, here.journal.book.turn, here.database.write() as session:
        here.journal.catch_up()
        removed = belongings.counts(session, number)
        elsewhere = leftovers(session, here.vault, number) if ELSEWHERE & removed.keys() else []
        places = [place for place in _places(session, here.folders, user, cache) if _holds(place)]
        given_back = _counted(here.folders, places, ended)
        belongings.delete(session, number, removed)
        for whose, login in [(number, user.login)] if user else session.exec(select(User.id, User.login)).all():
            assert whose is not None
            session.add(local_account(whose, login))
        session.flush()
        here.reaping.set_aside(places)
        if user is None:
            # Events of jobs are counted from the beginning again; nobody reads them before this is over.
            here.journal.book.mark = 0
            clock.put(None)
            chance.seed(None)
    here.interferences.changed()
    here.reaping.wake()
    take_away(here.folders, elsewhere)
    return Emptied(removed, {**given_back, "clouds": len(elsewhere)})


def _places(session: Session, folders: Folders, user: User | None, cache: bool) -> Iterable[Path]:
    return folders.contents(cache=cache) if user is None else belongings.places(session, folders, user)


def _holds(place: Path) -> bool:
    """Whether there is something to be moved."""
    return any(place.iterdir()) if place.is_dir() else place.exists()


def _counted(folders: Folders, places: Iterable[Path], ended: Iterable[int]) -> dict[str, int]:
    found = [one for place in places if place != folders.jobs for one in _single(folders, place)]
    instances = {one for one in found if one.parent == folders.cloud / "instances"}
    domains = sum(1 for folder in (*instances, *map(folders.work, ended)) for _ in folder.glob("*.domain"))
    return {"domains": domains, "blobs": sum(1 for one in found if one not in instances and one.parent != folders.jobs)}


def _single(folders: Folders, place: Path) -> Iterable[Path]:
    """Each thing in a whole part of the data folder; what lies in one is a thing itself."""
    if place == folders.cloud:
        return place.glob("*/*")
    return place.iterdir() if place.parent == folders.data else (place,)
