"""In which state a path is that dpkg says a package owns, and why."""

from typing import TYPE_CHECKING, Set, Tuple

from scanner.agent.found import Found
from scanner.agent.shipped import merged

if TYPE_CHECKING:
    from scanner.agent.dpkg import Dpkg


def owned(found: Found, database: "Dpkg", owner: str) -> Tuple[str, str]:
    """State and reason code of a path that is there."""
    conffile = database.conffiles.get(found.path)
    if conffile and not conffile.shipped:
        return "unmanaged", "conffile-obsolete"
    if found.kind != "file":
        return _not_a_file(found, database)
    if found.path in database.folders:
        return "managed-changed", "type-differs"
    if conffile:
        return _held("conffile-changed", "conffile", found, {conffile.md5})
    sums = database.md5.get(found.path)
    if sums:
        return _held("managed-changed", "md5", found, sums)
    # Packages that ship sums ship them for every regular file: this one took a link's place, or came from a maintainer script.
    return ("managed", "no-md5") if owner in database.without_md5 else ("managed-changed", "not-in-md5sums")


def _held(state: str, what: str, found: Found, sums: Set[str]) -> Tuple[str, str]:
    if found.content is None:
        return "managed", "unreadable"
    if found.content.digest("md5") in sums:
        return "managed", "conffile-unchanged" if what == "conffile" else "md5-equal"
    return state, "conffile-md5" if what == "conffile" else "md5-differs"


def _not_a_file(found: Found, database: "Dpkg") -> Tuple[str, str]:
    if database.wants_md5(found.path):
        return "managed-changed", "type-differs"
    if found.path in database.folders and found.kind != "directory":
        return ("managed", "usr-merge") if merged(found) else ("managed-changed", "type-differs")
    return "managed", "listed"
