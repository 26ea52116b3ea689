"""The last pass over the finished base disk: after it the tree is the source's tree, path by path.

It runs as root in a process of its own (`python -m builders.lastpass JOB.json`), on the mounted file system of the disk, after
diskimage-builder has gone: nothing that runs later can undo it. In order:

1. files that the source's administrator diverted are moved; the overlay is unpacked (contents, holes, hardlinks, deletions), and
   what names the source's disks and network is put into the new machine's terms;
2. accounts are merged: the source's numbers win;
3. the tree and the report are walked side by side: what the source deleted or never had is removed unless a rule of the closed
   list keeps it, and every reported path gets owner, mode, ACLs, capabilities, attributes and time, in that order;
4. what a machine needs to start is written (`bootable.py`), what it starts by is made again where the source has a say in it (`startup.py`);
5. times are set once more, since writing moved them; what the build itself made is of one moment (`epoch.py`).
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from builders import holes, inside, origins, traces
from builders.accounts import TABLES, Merged, from_report, merge, read_tables
from builders.bootable import Tree, make_bootable
from builders.built import look
from builders.contents import Contents
from builders.diversions import divert
from builders.explain import ONLY_COPY, Explainer, base_wins, listed_by, recorded
from builders.inodeflags import wanted
from builders.plan import BuildPlan
from builders.records import put_back
from builders.startup import Brought, renew
from builders.translate import FSTAB, translate
from scanner import metadata
from scanner.agent.found import KINDS
from scanner.agent.tree import Root, printable
from scanner.overlay import unpack
from scanner.report import FileEntry, Report, State, walk_key

LOADER = ("/etc/ld.so.cache", "/var/cache/ldconfig/aux-cache")
"""What ldconfig(8) writes."""


@dataclass(slots=True)
class Job:
    """What the pass works on."""

    root: str
    scan: str
    """Folder of the scan: report and, perhaps, overlay."""
    plan: str
    build_log: str
    """The dpkg log of the base's installation."""
    added: list[str]
    """Packages on the base that the source does not have."""
    begun: int = 0
    """When the making of the base began, nanoseconds since 1970: what is later is the build's own; 0: its times stay."""
    epoch: int = 0
    """The moment that the build's own files are given, seconds since 1970."""
    origins: str = ""
    """The file to write down in what of the tree is the build's own (`origins.py`), and beside it what the pass did itself (`traces.py`);
    empty: nothing is written down."""
    contents: str = ""
    """The file that knows the contents of the base disk (`contents.py`); empty: none does."""


@dataclass(slots=True)
class Outcome:
    """What the pass did, printed as one JSON line at its end."""

    restored: int = 0
    set: int = 0
    """Paths whose owner, mode, attributes and time were set."""
    pruned: int = 0
    recorded: int = 0
    """Packages of which dpkg's own records are the source's: packed again, or removed there (`records.py`)."""
    diverted: int = 0
    """Files of packages that the source's administrator has elsewhere."""
    moved: int = 0
    """Files of added packages whose owner had to take another number."""
    flagged: int = 0
    """Paths that have inode flags on the source: `inodeflags.py` sets them when all else is done."""
    translated: dict[str, str] = field(default_factory=dict)
    """Configuration that names the source's surroundings, in the terms of the new machine: path -> sha256 (`translate.py`)."""
    accounts: dict[str, list[str]] = field(default_factory=dict)
    """`passwd`, `group` -> the lines, printable, that the base's packages made and the source does not have."""
    lacking: list[str] = field(default_factory=list)
    """Reported paths that the tree does not have, printable, first 200."""


def main(argv: list[str]) -> int:
    job = Job(**json.loads(Path(argv[0]).read_text()))
    print(json.dumps(asdict(apply(job))))
    return 0


def apply(job: Job) -> Outcome:
    """The whole pass on the tree `job.root`."""
    root, report = Path(job.root), Report(Path(job.scan))
    plan = BuildPlan.model_validate_json(Path(job.plan).read_bytes())
    base_tables = read_tables(_etc(root))
    outcome = Outcome()
    outcome.diverted = divert(Tree(root), report.head.configuration.diversions)
    overlay = report.folder / "overlay.tar.zst"
    fstab = Tree(root).at(FSTAB, make=False)
    own_disk = fstab.read_text() if fstab.is_file() else ""
    if report.head.overlay and overlay.exists():
        outcome.restored = sum(1 for _ in unpack(overlay, root, skip=base_wins))
        outcome.translated = translate(Tree(root), plan, own_disk)
    accounts = _merge_accounts(root, report, base_tables)
    outcome.accounts = {name: [printable(os.fsencode(line)) for line in accounts.added[name]] for name in ("passwd", "group")}
    walk = _Walk(root, report, accounts, set(job.added), {one.name for one in plan.packages if one.nearest}, outcome)
    given = walk.run()
    outcome.recorded = put_back(Tree(root), plan, report.folder)
    started = make_bootable(root, plan, Path(job.build_log).read_text(errors="surrogateescape"), given.__contains__)
    renewed = renew(root, walk.startup, job.epoch) if report.head.overlay else set()
    _write_loaders_cache(root, job.epoch)
    own = _set_times(root, report, job, {*outcome.translated, *(f"/etc/{name}" for name in TABLES)}, walk.nearest)
    if job.origins:
        _write_down(root, job, own, walk.kept)
        steps = {
            **dict.fromkeys(outcome.translated, traces.TRANSLATION),
            **{f"/etc/{name}": traces.ACCOUNTS for name in TABLES},
            **dict.fromkeys(started, traces.START),
            **dict.fromkeys(renewed, traces.STARTUP),
            **{path: traces.LOADER for path in LOADER if os.path.lexists(f"{root}{path}")},
        }
        traces.write(Path(job.origins).parent / traces.PASS, steps.items())
    return outcome


def _write_loaders_cache(root: Path, epoch: int) -> None:
    """By the system's own tool where it has one: its first boot may run that again, and another version writes another cache."""
    if inside.has(root, "ldconfig"):
        inside.run(root, epoch, "ldconfig")
    else:
        subprocess.run(["ldconfig", "-r", str(root)], check=True, stdin=subprocess.DEVNULL)


def _write_down(root: Path, job: Job, own: Mapping[str, int], kept: Mapping[str, str]) -> None:
    """What is the build's own, and how it is now."""
    folders, file = _Folders(root), Path(job.contents) if job.contents else None
    contents = Contents.load(file)
    origins.write(
        Path(job.origins),
        own,
        kept,
        origins.owners(root, job.added),
        lambda path: look(folders.of(path), os.fsencode(path.rpartition("/")[2]) or b".", contents, own[path]),
    )
    contents.save(file)
    folders.close()


def _etc(root: Path) -> Path:
    """The folder of the accounts, also where the source made a link of it: never this machine's own."""
    return Tree(root).at("/etc/passwd", make=False).parent


def _merge_accounts(root: Path, report: Report, base: dict[str, str]) -> Merged:
    etc = _etc(root)
    listed = from_report(report.head.users, report.head.groups)
    redacted = {secret.path for secret in report.head.redacted}
    # Without its shadow table an account is there, and locked.
    source = {**read_tables(etc), **{name: text for name, text in listed.items() if f"/etc/{name}" in redacted}} if report.head.overlay else listed
    merged = merge(source, base)
    for name in TABLES:
        path = etc / name
        if path.is_symlink():
            path.unlink()
        path.write_bytes(merged.tables[name].encode(errors="surrogateescape"))
        if name.endswith("shadow"):
            path.chmod(0o640)
    return merged


class _Folders:
    """Descriptors of the folders that paths lie in, reached through no link; a walk stays in one folder for long."""

    def __init__(self, root: Path) -> None:
        self._inside = Root(os.fsencode(root))
        self._open = ("", self._inside.folder(b""))

    def of(self, path: str) -> int:
        """Raises FileNotFoundError, NotADirectoryError (a link is on the way)."""
        folder = path.rpartition("/")[0]
        if self._open[0] != folder:
            opened = self._inside.folder(os.fsencode(folder))
            os.close(self._open[1])
            self._open = (folder, opened)
        return self._open[1]

    def close(self) -> None:
        os.close(self._open[1])
        self._inside.close()


class _Walk:
    """The side-by-side walk of tree and report."""

    WATCHED = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})

    def __init__(self, root: Path, report: Report, accounts: Merged, added: set[str], nearest: set[str], outcome: Outcome) -> None:
        self.root = root
        self.report = report
        self.accounts = accounts
        self.outcome = outcome
        self.nearest = nearest
        self.theirs = {package.name for package in report.head.packages} - {name.partition(":")[0] for name in added} - nearest if report.head.overlay else set()
        """Packages of which everything, dpkg's records too, is to be as it is on the source."""
        self.explainer = Explainer(listed_by(root, added), self._link, listed_by(root, nearest), container=report.head.system.container is not None)
        self.doomed: list[str] = []
        self.kept: dict[str, str] = {}
        """What only the tree has and keeps -> the rule that keeps it."""
        self.startup = Brought()
        self._folder = _Folders(root).of

    def run(self) -> set[str]:
        """Do it; answers which of the watched paths the source brought itself."""
        given: set[str] = set()
        for path, entry, below in pairs(self.root, self.report):
            if below:
                continue
            if entry is None:
                self._only_here(path)
                continue
            self.startup.note(entry)
            if entry.state == State.MISSING:
                self.doomed.append(path)
            elif entry.state != State.EXCLUDED and not base_wins(path):
                self._set(entry)
                given.add(path) if path in self.WATCHED or path.startswith("/etc/systemd/system/") else None
            elif entry.state == State.EXCLUDED and entry.mode and entry.type == "directory":
                self._make(entry)
                self._set(entry)
        self._prune()
        return given

    def _link(self, path: str) -> str | None:
        try:
            return os.readlink(self._place(path))
        except OSError:
            return None

    def _place(self, path: str) -> str:
        return f"{self.root}{path}"

    def _only_here(self, path: str) -> None:
        rule = self.explainer.explain(path, ONLY_COPY)
        if rule is None or recorded(path) in self.theirs:
            self.doomed.append(path)
        else:
            self.kept[path] = rule
            self._move_owner(path)

    def _move_owner(self, path: str) -> None:
        info = os.lstat(self._place(path))
        uid = self.accounts.moved_uids.get(info.st_uid, info.st_uid)
        gid = self.accounts.moved_gids.get(info.st_gid, info.st_gid)
        if (uid, gid) != (info.st_uid, info.st_gid):
            os.chown(self._place(path), uid, gid, follow_symlinks=False)
            if stat.S_ISREG(info.st_mode):
                os.chmod(self._place(path), stat.S_IMODE(info.st_mode))
            self.outcome.moved += 1

    def _make(self, entry: FileEntry) -> None:
        """A folder whose contents the scan left out: something is mounted there, or comes back by itself."""
        with suppress(FileExistsError, FileNotFoundError, NotADirectoryError):
            os.mkdir(os.fsencode(entry.path).rpartition(b"/")[2], dir_fd=self._folder(entry.path))

    def _set(self, entry: FileEntry) -> None:
        try:
            # First of all: where the source has a folder and the tree a link, paths below lead out of the tree, to this machine's own.
            folder = self._folder(entry.path)
            if entry.type == "socket" and self.report.head.overlay:
                # It has no contents that an overlay could bring: what is told of it is all there is.
                with suppress(FileExistsError):
                    os.mknod(os.fsencode(entry.path).rpartition(b"/")[2], stat.S_IFSOCK | 0o600, dir_fd=folder)
            if not self._of_another_version(entry):
                self._match_links(entry)
                self._match_holes(entry)
            if KINDS[stat.S_IFMT(os.lstat(self._place(entry.path)).st_mode)] != entry.type:
                raise NotADirectoryError(entry.path)
            metadata.apply(folder, os.fsencode(entry.path).rpartition(b"/")[2] or b".", metadata.of_entry(entry))
            self.outcome.set += 1
            self.outcome.flagged += wanted(entry)
        except (FileNotFoundError, NotADirectoryError):
            if len(self.outcome.lacking) < 200:
                self.outcome.lacking.append(entry.raw.decode(errors="backslashreplace"))

    def _of_another_version(self, entry: FileEntry) -> bool:
        return entry.state == State.MANAGED and (entry.package or "").partition(":")[0] in self.nearest

    def _match_links(self, entry: FileEntry) -> None:
        """What the package manager cannot tell: a shipped link that was pointed elsewhere, a shipped file that got a second name."""
        place = self._place(entry.path)
        if entry.type == "symlink" and os.path.islink(place) and os.readlink(place) != entry.target:
            os.unlink(place)
            os.symlink(entry.target or "", place)
        first = self._place(entry.hardlink) if entry.hardlink and entry.hardlink != entry.path else None
        if first and os.path.lexists(first) and not os.path.samestat(os.lstat(first), os.lstat(place)):
            os.unlink(place)
            os.link(first, place, follow_symlinks=False)

    def _match_holes(self, entry: FileEntry) -> None:
        # The overlay brought its holes itself; what packages unpacked may have others than the source.
        if entry.type != "file" or entry.state != State.MANAGED:
            return
        info = os.lstat(self._place(entry.path))
        if stat.S_ISREG(info.st_mode):
            holes.match(self._place(entry.path), info, entry.extents)

    def _prune(self) -> None:
        """Remove what must go, deepest first; a folder that something kept lies in stays."""
        for path in reversed(self.doomed):
            place = self._place(path)
            try:
                self._folder(path)
                if stat.S_ISDIR(os.lstat(place).st_mode):
                    os.rmdir(place)
                else:
                    os.unlink(place)
                self.outcome.pruned += 1
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                if not os.path.isdir(place):
                    raise


def pairs(root: Path, report: Report) -> Iterator[tuple[str, FileEntry | None, bool]]:
    """Every path of the report, and every path of the tree that the report does not know; with those, whether they lie below a folder
    that the scan left out."""
    mine = tree(root)
    here = next(mine, None)
    for entry in report.files():
        key = walk_key(entry.path)
        while here is not None and walk_key(here) < key:
            yield here, None, False
            here = next(mine, None)
        if here == entry.path:
            here = next(mine, None)
        yield entry.path, entry, False
        while entry.state == State.EXCLUDED and here is not None and here.startswith(entry.path.rstrip("/") + "/"):
            yield here, None, True
            here = next(mine, None)
    while here is not None:
        yield here, None, False
        here = next(mine, None)


def tree(root: Path) -> Iterator[str]:
    """Every path below `root` in walk order, `/` first; never through a link or into another file system."""
    device = os.lstat(root).st_dev
    yield "/"
    yield from _below(os.fsencode(root), b"", device)


def _below(root: bytes, folder: bytes, device: int) -> Iterator[str]:
    with os.scandir(root + (folder or b"/")) as entries:
        names = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, directory in names:
        path = folder + b"/" + name
        yield os.fsdecode(path)
        if directory and os.lstat(root + path).st_dev == device:
            yield from _below(root, path, device)


def _set_times(root: Path, report: Report, job: Job, written: Set[str], nearest: Set[str]) -> dict[str, int]:
    """Once more: writing into folders moved their times, and what the build made tells when it did.

    Answers what of the tree is the build's own, with the mtime (nanoseconds) that it had: what the source does not have or did not bring, what is `written`, or of the packages
    `nearest`, and what else was written after the walk had given it the source's time.
    """
    folders = _Folders(root)
    own = {}
    for path, entry, _ in pairs(root, report):
        theirs = None if base_wins(path) else entry
        try:
            had, moved = _set_time(folders.of(path), os.fsencode(path.rpartition("/")[2]) or b".", theirs, report, job)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if theirs is None or moved or path in written or not _brought(theirs, report, nearest):
            own[path] = had
    folders.close()
    return own


def _brought(entry: FileEntry, report: Report, nearest: Set[str]) -> bool:
    """Whether what is there is the source's own, or of a package at the source's version."""
    if entry.state == State.EXCLUDED:
        return entry.type == "directory"
    if entry.state == State.MANAGED:
        return (entry.package or "").partition(":")[0] not in nearest
    return report.head.overlay and entry.state != State.MISSING


def _set_time(folder: int, name: bytes, entry: FileEntry | None, report: Report, job: Job) -> tuple[int, bool]:
    """Answers the time that it had, and whether something other than a folder had another one than the source's."""
    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    theirs = entry is not None and entry.state != State.MISSING and (entry.state != State.EXCLUDED or bool(entry.mode and entry.type == "directory"))
    if entry is None or not theirs:
        moment = job.epoch * 10**9 if job.begun and info.st_mtime_ns >= job.begun else info.st_mtime_ns
    else:
        moment = entry.mtime if _has_its_time(report, entry, info) else info.st_mtime_ns
    if moment != info.st_mtime_ns:
        os.utime(name, ns=(moment, moment), dir_fd=folder, follow_symlinks=False)
    return info.st_mtime_ns, theirs and moment != info.st_mtime_ns and not stat.S_ISDIR(info.st_mode)


def _has_its_time(report: Report, entry: FileEntry, info: os.stat_result) -> bool:
    """Whether the path is the source's own thing: of a simple scan, folders were made anew with what lies in them."""
    return KINDS[stat.S_IFMT(info.st_mode)] == entry.type and (report.head.overlay or entry.state in (State.MANAGED, State.EXCLUDED))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
