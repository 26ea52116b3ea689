"""Users and groups from passwd(5), shadow(5) and group(5). A password's hash is looked at, never told."""

from typing import Callable, Dict, Iterator, List

from scanner.agent.tree import Root, printable

Blind = Callable[[bytes, str], None]
PASSWD = b"/etc/passwd"
GROUP = b"/etc/group"


def users(root: Root, blind: Blind) -> Iterator[Dict[str, object]]:
    """One row a line of passwd; lines that cannot be understood are blind spots."""
    shadow: Dict[str, str] = {}
    for row in _rows(root, b"/etc/shadow", 2, blind):
        # Of several lines of one name the first counts, as for getspnam(3).
        shadow.setdefault(row[0], row[1])
    for row in _rows(root, PASSWD, 7, blind):
        if _number(row[2], PASSWD, blind) and _number(row[3], PASSWD, blind):
            yield {
                "name": row[0],
                "uid": int(row[2]),
                "gid": int(row[3]),
                "gecos": row[4],
                "home": row[5],
                "shell": row[6],
                "password": _password(row[1], shadow.get(row[0])),
            }


def groups(root: Root, blind: Blind) -> Iterator[Dict[str, object]]:
    """One row a line of group."""
    for row in _rows(root, GROUP, 4, blind):
        if _number(row[2], GROUP, blind):
            yield {"name": row[0], "gid": int(row[2]), "members": [name for name in row[3].split(",") if name]}


def names(root: Root, path: bytes) -> Dict[int, bytes]:
    """Number -> name, for the file's first line that has it: what ls(1) on the target would show."""
    found: Dict[int, bytes] = {}
    for line in (root.read(path) or b"").split(b"\n"):
        words = line.split(b":")
        if len(words) > 2 and words[2].isdigit():
            found.setdefault(int(words[2]), words[0])
    return found


def _rows(root: Root, path: bytes, at_least: int, blind: Blind) -> Iterator[List[str]]:
    for number, line in enumerate((root.read(path) or b"").split(b"\n"), 1):
        row = printable(line).split(":")
        if len(row) >= at_least and row[0]:
            yield row
        elif line.strip() and not line.startswith(b"#"):
            blind(path, "line %d is not understood" % number)


def _number(field: str, path: bytes, blind: Blind) -> bool:
    if field.isdigit():
        return True
    blind(path, "'%s' is not a number" % field)
    return False


def _password(field: str, hashed: "str | None") -> str:
    """`field` is passwd's own second field; `x` sends to shadow."""
    if field == "x" and hashed is None:
        return "none"
    value = hashed if field == "x" and hashed is not None else field
    if not value:
        return "empty"
    return "locked" if value[0] in "!*" else "set"
