"""Mutations of the tree itself: paths that come, go, move, or become something else."""

from __future__ import annotations

import os
from collections.abc import Callable

from emulator.lab.drift.plan import Kind, Plan, came_or_went, changed, mutation, parent, quoted
from emulator.lab.drift.record import Mutation
from emulator.lab.drift.survey import Path

ODD = (
    b"caf\xe9", b"\xff\xfe", b"two\nlines", b'"quoted"', b"it's", b"-rf", b" blank ", b"*", b"back\\slash", b"tab\t", b".hidden",
    "\u00fcn\u00ef\u2028".encode(), b"x" * 200, b"$(echo)", b"%41", b"#", b"a:b", b"\x01\x7f",
)  # fmt: skip
SOCKET = b'perl -MSocket -e \'socket(S, AF_UNIX, SOCK_STREAM, 0) and bind(S, pack_sockaddr_un($ARGV[0])) or die $!\' '
TARGETS = ("/nowhere", "../else/where", "\udcff\udcfe", "a b")


def _new(script: Callable[[Plan, str], bytes], tool: str = "") -> Kind:
    """A kind by which one path comes; it needs `tool` on the system."""

    def make(plan: Plan, kind: str) -> Mutation | None:
        path = plan.new_name() if not tool or tool in plan.survey.tools else None
        return mutation(kind, path, script(plan, path), came_or_went(path)) if path else None

    return make


def _plain(*words: bytes) -> Callable[[Plan, str], bytes]:
    before, after = words[0], words[1] if len(words) > 1 else b""
    return lambda plan, path: before + quoted(path) + after


def new_link(plan: Plan, kind: str) -> Mutation | None:
    path = plan.new_name()
    return mutation(kind, path, b"ln -s " + quoted(plan.random.choice(TARGETS), path), came_or_went(path)) if path else None


def odd_name(plan: Plan, kind: str) -> Mutation | None:
    """A file whose name is hard to carry."""
    path = plan.new_name(os.fsdecode(plan.random.choice(ODD)))
    return mutation(kind, path, b"echo drift > " + quoted(path), came_or_went(path)) if path else None


def new_tree(plan: Plan, kind: str) -> Mutation | None:
    path = plan.new_name()
    if path is None:
        return None
    inside = [f"{path}/sub", f"{path}/sub/file", f"{path}/sub/link"]
    script = b"mkdir -p " + quoted(inside[0]) + b"; echo drift > " + quoted(inside[1]) + b"; ln -s file " + quoted(inside[2])
    return mutation(kind, path, script, came_or_went(path), [changed(one, "presence") for one in inside])


def _delete(fits: Callable[[Plan, Path], bool]) -> Kind:
    def make(plan: Plan, kind: str) -> Mutation | None:
        found = plan.file(lambda path: fits(plan, path))
        return mutation(kind, found.path, b"rm " + quoted(found.path), came_or_went(found.path)) if found else None

    return make


def _managed(plan: Plan, path: Path) -> bool:
    return path.path in plan.survey.owned and path.path not in plan.survey.conffiles


def _conffile(plan: Plan, path: Path) -> bool:
    return path.path in plan.survey.conffiles


def _unmanaged(plan: Plan, path: Path) -> bool:
    return path.path not in plan.survey.owned


def delete_tree(plan: Plan, kind: str) -> Mutation | None:
    """A folder of nobody's, with all that is in it."""
    found = plan.tree()
    if not found:
        return None
    gone = [changed(one.path, "presence") for one in found]
    return mutation(kind, found[0].path, b"rm -r " + quoted(found[0].path), gone, came_or_went(found[0].path))


def rename(plan: Plan, kind: str) -> Mutation | None:
    found = plan.file()
    if found is None:
        return None
    new = f"{found.path}.drift-{plan.number()}"
    plan.take(new)
    return mutation(kind, found.path, b"mv " + quoted(found.path, new), came_or_went(found.path, new))


def make_hardlink(plan: Plan, kind: str) -> Mutation | None:
    """A second name behind the first one in walk order: the first path of a group tells nothing of it."""
    found = plan.file()
    if found is None:
        return None
    new = f"{found.path}.drift-{plan.number()}"
    plan.take(new)
    return mutation(kind, found.path, b"ln " + quoted(found.path, new), came_or_went(new))


def break_hardlink(plan: Plan, kind: str) -> Mutation | None:
    """The same contents, on an inode of their own."""
    found = plan.second_name()
    if found is None:
        return None
    path, new = quoted(found.path), quoted(f"{found.path}.drift")
    return mutation(kind, found.path, b"cp --preserve=all " + path + b" " + new + b"; mv " + new + b" " + path, changed(found.path, "hardlink"), changed(parent(found.path), "mtime"))


def retarget(plan: Plan, kind: str) -> Mutation | None:
    found = plan.link()
    if found is None:
        return None
    target = f"{plan.random.choice(TARGETS)}-{plan.number()}"
    owner = [name for name, number in (("uid", found.uid), ("gid", found.gid)) if number]
    return mutation(kind, found.path, b"ln -sfn " + quoted(target, found.path) + b"; chown -h 0:0 " + quoted(found.path), changed(found.path, "target", "mtime", *owner), changed(parent(found.path), "mtime"))


def become_folder(plan: Plan, kind: str) -> Mutation | None:
    found = plan.file()
    if found is None:
        return None
    script = b"rm " + quoted(found.path) + b"; mkdir " + quoted(found.path) + b"; chown 0:0 " + quoted(found.path) + b"; chmod 00711 " + quoted(found.path)
    fields = ["type", "mode", "size", "sha256", "mtime", *(name for name, number in (("uid", found.uid), ("gid", found.gid)) if number)]
    return mutation(kind, found.path, script, changed(found.path, *fields), changed(parent(found.path), "mtime"))


def become_link(plan: Plan, kind: str) -> Mutation | None:
    found = plan.file(lambda path: path.mode != 0o777)
    if found is None:
        return None
    target = "/drift/" + "x" * (found.size if found.size < 100 else 1)
    script = b"ln -sf " + quoted(target, found.path) + b"; chown -h 0:0 " + quoted(found.path)
    fields = ["type", "mode", "size", "sha256", "mtime", "target", *(name for name, number in (("uid", found.uid), ("gid", found.gid)) if number)]
    return mutation(kind, found.path, script, changed(found.path, *fields), changed(parent(found.path), "mtime"))


KINDS: dict[str, Kind] = {
    "new-file": _new(_plain(b"echo drift > ")),
    "new-empty-file": _new(_plain(b": > ")),
    "new-folder": _new(_plain(b"mkdir -m 0700 ")),
    "new-setuid": _new(_plain(b"install -m 4755 /bin/true ")),
    "new-fifo": _new(_plain(b"mkfifo "), "mkfifo"),
    "new-socket": _new(_plain(SOCKET), "perl"),
    "new-char-device": _new(_plain(b"mknod ", b" c 1 3"), "mknod"),
    "new-block-device": _new(_plain(b"mknod ", b" b 7 99"), "mknod"),
    "new-sparse-file": _new(_plain(b"truncate -s 8M "), "truncate"),
    "new-link": new_link,
    "odd-name": odd_name,
    "new-tree": new_tree,
    "deleted-managed": _delete(_managed),
    "deleted-conffile": _delete(_conffile),
    "deleted-unmanaged": _delete(_unmanaged),
    "deleted-tree": delete_tree,
    "renamed": rename,
    "hardlink-made": make_hardlink,
    "hardlink-broken": break_hardlink,
    "link-retargeted": retarget,
    "file-became-folder": become_folder,
    "file-became-link": become_link,
}
