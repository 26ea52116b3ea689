"""The package managers of a machine, all of those that have something installed."""

from scanner.agent.apk import Apk
from scanner.agent.database import Database, Several
from scanner.agent.dpkg import Dpkg
from scanner.agent.rpm import Rpm
from scanner.agent.tree import Root


def read(root: Root) -> Database:
    """One database for the whole machine. What could not be read is in its `blind_spots`."""
    every = [Dpkg(root), Rpm(root), Apk(root)]
    used = [one for one in every if one.packages] or every[:1]
    spots = [spot for one in every if one not in used for spot in one.blind_spots]
    database = used[0] if len(used) == 1 else Several(root, used)
    database.blind_spots = database.blind_spots + spots
    return database
