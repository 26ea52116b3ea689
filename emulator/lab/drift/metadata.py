"""Mutations of what a path is besides its contents: owner, mode, time, attributes."""

from __future__ import annotations

from collections.abc import Callable

from emulator.lab.drift.plan import Kind, Plan, changed, mutation, quoted
from emulator.lab.drift.record import Mutation
from emulator.lab.drift.survey import Path

MODES = (0o600, 0o640, 0o755, 0o777, 0o4755, 0o2755, 0o444)
FOLDER_MODES = (0o700, 0o750, 0o777, 0o1777, 0o2775)
OWNER = 40000
"""Numbers from here on are nobody's."""
DATES = (946684799, 2147483648, 1, -14182940)
"""The end of a century, of 32 bits, the begin of time, and before it."""


def _on(choose: Callable[[Plan], Path | None], field: str, script: Callable[[Plan, Path], bytes], tool: str = "") -> Kind:
    """A kind that changes one field of one path; it needs `tool` on the system."""

    def make(plan: Plan, kind: str) -> Mutation | None:
        found = choose(plan) if not tool or tool in plan.survey.tools else None
        return mutation(kind, found.path, script(plan, found), changed(found.path, field)) if found else None

    return make


def _mode(modes: tuple[int, ...]) -> Callable[[Plan, Path], bytes]:
    def script(plan: Plan, path: Path) -> bytes:
        mode = plan.random.choice([one for one in modes if one != path.mode])
        return b"chmod %05o " % mode + quoted(path.path)

    return script


def _date(plan: Plan, path: Path) -> bytes:
    return b"touch -h -d @%d.123456789 " % (plan.random.choice(DATES) + plan.number()) + quoted(path.path)


def _owner(plan: Plan, path: Path) -> bytes:
    return b"chown -h %d " % (OWNER + plan.number()) + quoted(path.path)


def _group(plan: Plan, path: Path) -> bytes:
    return b"chown -h :%d " % (OWNER + plan.number()) + quoted(path.path)


def _xattr(plan: Plan, path: Path) -> bytes:
    return b"setfattr -n user.drift -v 0x00ff0a3d " + quoted(path.path)


def _acl(plan: Plan, path: Path) -> bytes:
    return b"setfacl -m u:%d:r " % OWNER + quoted(path.path)


def _default_acl(plan: Plan, path: Path) -> bytes:
    return b"setfacl -d -m u:%d:rx " % OWNER + quoted(path.path)


def _capability(plan: Plan, path: Path) -> bytes:
    return b"setcap cap_net_raw,cap_chown+ep " + quoted(path.path)


def _flag(plan: Plan, path: Path) -> bytes:
    return b"chattr +" + plan.random.choice([b"A", b"d", b"S"]) + b" " + quoted(path.path)


def _group_may_read(plan: Plan) -> Path | None:
    """The mask of a new ACL is then what the group's bits are: the mode stays."""
    return plan.file(lambda path: bool(path.mode & 0o040))


KINDS: dict[str, Kind] = {
    "mode": _on(Plan.file, "mode", _mode(MODES)),
    "folder-mode": _on(Plan.own_folder, "mode", _mode(FOLDER_MODES)),
    "owner": _on(Plan.file, "uid", _owner),
    "group": _on(Plan.file, "gid", _group),
    "folder-owner": _on(Plan.own_folder, "uid", _owner),
    "link-owner": _on(Plan.link, "uid", _owner),
    "mtime": _on(Plan.file, "mtime", _date),
    "folder-mtime": _on(Plan.own_folder, "mtime", _date),
    "link-mtime": _on(Plan.link, "mtime", _date),
    "xattr": _on(Plan.file, "xattrs", _xattr, "setfattr"),
    "folder-xattr": _on(Plan.own_folder, "xattrs", _xattr, "setfattr"),
    "acl": _on(_group_may_read, "xattrs", _acl, "setfacl"),
    "default-acl": _on(Plan.own_folder, "xattrs", _default_acl, "setfacl"),
    "inode-flag": _on(Plan.file, "flags", _flag, "chattr"),
    "capability": _on(Plan.file, "xattrs", _capability, "setcap"),
}
