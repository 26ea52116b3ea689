"""The running service's parts, and how routes get at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import Annotated

from fastapi import Depends, Path, Request

from emulator.auth import Authenticator
from emulator.control.capabilities import Capabilities
from emulator.control.interference import Interferences
from emulator.control.journal.book import Book
from emulator.control.journal.events import Journal
from emulator.control.reaping import Reaping
from emulator.control.seeds.seeding import Seeding
from emulator.errors import Forbidden
from emulator.folders import Folders
from emulator.jobs.ledger import Ledger
from emulator.jobs.queue import Queue
from emulator.nearby import Nearby
from emulator.resources.agents.ingest import Ingests
from emulator.resources.agents.polls import Polls
from emulator.resources.migrations.conductor import Conductor
from emulator.resources.users.tables import User
from emulator.rooms import RealRooms, Rooms
from emulator.settings import Settings
from emulator.storage.engine import Database
from emulator.storage.vault import Vault
from emulator.wire.state import ASKING


@dataclass
class Service:
    """Everything that a request may need."""

    settings: Settings
    folders: Folders
    database: Database
    ledger: Ledger
    queue: Queue
    authenticator: Authenticator
    vault: Vault
    rooms: Rooms = field(default_factory=RealRooms)
    capabilities: Capabilities = field(default_factory=Capabilities)
    stopping: Event = field(default_factory=Event)
    ingests: Ingests = field(default_factory=Ingests)
    polls: Polls = field(default_factory=Polls)
    reaping: Reaping = field(init=False)
    interferences: Interferences = field(init=False)
    journal: Journal = field(init=False)
    seeding: Seeding = field(init=False)
    seed: str = ""
    """Name of the seed to be sown at the start."""
    conductor: Conductor = field(init=False)
    nearby: Nearby | None = None
    """Makes the containers of this machine find the service; None where it does not listen (tests)."""

    def __post_init__(self) -> None:
        self.reaping = Reaping(self.folders)
        self.interferences = Interferences(self.database)
        self.journal = Journal(Book(self.folders.journal), self.database)
        self.seeding = Seeding(self)
        self.conductor = Conductor(self)


# Those that only look at what is there already run where they are called: a way to another thread and back costs more than they do.
async def service(request: Request) -> Service:
    found = request.app.state.service
    assert isinstance(found, Service)
    return found


TheService = Annotated[Service, Depends(service)]


def user(request: Request, here: TheService) -> User:
    """Who is asking. Raises `Unauthorized`, `Forbidden`."""
    found = here.authenticator.asking(request.scope)
    request.scope.setdefault("state", {})[ASKING] = found.login
    return found


TheUser = Annotated[User, Depends(user)]


async def admin(asking: TheUser) -> User:
    """Who is asking, when he is an administrator. Raises `Forbidden`."""
    if not asking.admin:
        raise Forbidden(f"only an administrator may do this, and '{asking.login}' is none", hint="log in as the service's first user")
    return asking


TheAdmin = Annotated[User, Depends(admin)]


async def owner(uid: Annotated[str, Path()], asking: TheUser) -> User:
    """The user in the path, who must be the one who asks: nobody sees another's resources, root included. Raises `Forbidden`."""
    if uid != asking.login:
        raise Forbidden(f"you are logged in as '{asking.login}': what belongs to '{uid}' is not yours", hint=f"use /users/{asking.login}")
    return asking


TheOwner = Annotated[User, Depends(owner)]
