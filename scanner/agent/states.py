"""In which state a path is, why, whose it is, and what was expected of it."""

from scanner.agent.content import Verdict
from scanner.agent.database import Database
from scanner.agent.found import Found


def decide(found: Found, database: Database) -> Verdict:
    """Reason codes are listed in `scanner/rules.toml`."""
    owner = database.owner.get(found.path)
    folder = found.kind == "directory" or (found.stat is None and found.path in database.folders)
    package = None if folder and found.path in database.shared else owner
    if found.excluded is not None:
        return "excluded", found.excluded, package, {}
    if found.stat is None:
        return "missing", "deleted", package, {}
    if owner is None:
        return "unmanaged", "not-in-any-package", None, {}
    state, reason, expected = database.verdict(found, owner)
    return state, reason, package, expected
