"""Independent witnesses: tools that know nothing of Forgelet, what they said of image and copy, and what follows from it.

Taking a testimony touches the machine; judging it (`complaints`) is arithmetic on the words, which a check of the evidence does again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builders.explain import canonical
from builders.image import Difference, ImageFile, Scope, Witness, driver
from scanner.host.disks import raw_view
from scanner.host.run import run
from scanner.report import FileEntry, Report, State

SCOPE = "witnesses"
NOT_SUPPORTED = 63
"""qemu-img check: no check is known for the format. Source: qemu-img(1)."""
_VERIFIED = re.compile(r"^(?P<flags>\S{9}|missing  ) (?P<kind>.) (?P<path>/.*)$")


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that a witness does not find right."""

    item: str
    what: str
    path: str = ""
    """The path that it is about, as the file table has it."""


@dataclass(slots=True)
class Excusable:
    """What may explain a complaint: what the source shows as well, and what the comparison explained of the same path."""

    states: dict[str, str] = field(default_factory=dict)
    """Path -> its state on the source."""
    rules: dict[str, str] = field(default_factory=dict)
    """Path -> the rule that explained its difference."""
    failed: frozenset[str] = frozenset()
    """Units that fail on the source."""
    left: frozenset[str] = frozenset()
    """Configuration that no installed version of a package ships, and dpkg looks at all the same."""


def of_image(folder: Path, files: Sequence[ImageFile], work: Path) -> Iterator[Witness]:
    """Nova's own check and `qemu-img check` of every file, and sfdisk of the first one's partition table."""
    for file in files:
        yield _inspected(folder / file.name, file.format)
        done = run(["qemu-img", "check", "-f", driver(file.format), str(folder / file.name)], check=False)
        yield Witness(name=f"qemu-img check {file.name}", status=done.returncode, said=_text(done.stdout + done.stderr))
    first = files[0]
    with raw_view(folder / first.name, driver(first.format), work) as raw:
        done = run(["sfdisk", "--verify", str(raw)], root=True, check=False)
        table = run(["sfdisk", "--dump", str(raw)], root=True, check=False)
    yield Witness(name="sfdisk", status=done.returncode or table.returncode, said=_text(done.stdout + done.stderr).replace(str(raw), first.name) + "\n" + _text(table.stdout).replace(str(raw), first.name))


def _inspected(image: Path, format: str) -> Witness:
    """oslo.utils' format inspector, by which Nova and Glance decide whether they touch an image at all."""
    from oslo_utils.imageutils import format_inspector as inspector

    name = f"oslo.utils format inspector {image.name}"
    try:
        found = inspector.detect_file_format(str(image))
        said = str(found)
        # What boots from a raw disk is told by its partition table.
        if said not in ({"raw", "gpt"} if format == "raw" else {format}):
            return Witness(name=name, status=1, said=f"it is {said}, not {format}")
        assert found is not None
        found.safety_check()
    except (inspector.ImageFormatError, inspector.SafetyCheckFailed) as error:
        return Witness(name=name, status=1, said=str(error) or type(error).__name__)
    return Witness(name=name, status=0, said=f"{said}, safe: no backing file, no data file, nothing unknown")


def of_tree(root: Path) -> Witness:
    """dpkg compares every file that a package brought with the digest that the package brought."""
    done = run(["dpkg", f"--root={root}", "--verify"], root=True, check=False)
    return Witness(name="dpkg --verify", status=0 if done.stdout else done.returncode, said=_text(done.stdout or done.stderr))


def _text(said: bytes) -> str:
    return said.decode(errors="backslashreplace").strip("\n")


def judge(witnesses: Sequence[Witness], source: Report, explained: Mapping[str, str], failed: frozenset[str] = frozenset()) -> tuple[Scope, list[Difference]]:
    """Every complaint as a difference, explained where the source gives the reason; `equal` counts witnesses without any.

    `explained`: path -> the rule that explained its difference; `failed`: units that fail on the source. Sets each witness's verdict.
    """
    found = {witness.name: list(complaints(witness)) for witness in witnesses}
    paths = {one.path for many in found.values() for one in many if one.path}
    known = Excusable(_states(source, paths), {path: rule for path, rule in explained.items() if path in paths}, failed, frozenset(canonical(path) for package in source.head.packages for path in package.left))
    told = {name: [_difference(name, one, known) for one in many] for name, many in found.items()}
    for witness in witnesses:
        witness.verdict = _verdict(witness, told[witness.name])
    rows = [one for many in told.values() for one in many]
    left = sum(one.rule is None for one in rows)
    return Scope(equal=sum(not many for many in told.values()), explained=len(rows) - left, unexplained=left), rows


def _verdict(witness: Witness, rows: list[Difference]) -> str:
    if any(one.rule is None for one in rows):
        return "contradicts"
    if rows:
        return "explained"
    return "cannot say" if _dumb(witness) else "agrees"


def _dumb(witness: Witness) -> bool:
    return witness.name.startswith("qemu-img check") and witness.status == NOT_SUPPORTED


def complaints(witness: Witness) -> Iterator[Complaint]:
    """What the witness does not find right. Whoever is not known here complains by a status other than 0."""
    kind = next((prefix for prefix in _KINDS if witness.name.startswith(prefix)), "")
    yield from _KINDS[kind](witness)


def _by_status(witness: Witness) -> Iterator[Complaint]:
    if witness.status and not _dumb(witness):
        yield Complaint(witness.name, _last(witness.said))


def _by_dpkg(witness: Witness) -> Iterator[Complaint]:
    yield from _by_status(witness)
    for line in witness.said.splitlines() if not witness.status else ():
        match = _VERIFIED.match(line)
        if match is None:
            yield Complaint(f"dpkg --verify: {line.strip()}", "not understood")
            continue
        path = canonical(match["path"].removesuffix(" (Permission denied)"))
        yield Complaint(f"dpkg --verify: {path}", "missing" if match["flags"].startswith("missing") else "another content than the package's", path)


def _by_sfdisk(witness: Witness) -> Iterator[Complaint]:
    if witness.status or "No errors detected" not in witness.said or "start=" not in witness.said:
        yield Complaint("sfdisk", _last(witness.said.partition("label:")[0]))


def _by_cloud_init(witness: Witness) -> Iterator[Complaint]:
    """`status: done`, and no error told; what cloud-init calls recoverable is shown and not judged."""
    values = dict(line.partition(":")[::2] for line in witness.said.splitlines() if line and not line.startswith((" ", "\t", "-")))
    status, errors = values.get("status", "").strip(), values.get("errors", "[]").strip()
    if status != "done":
        yield Complaint("cloud-init status", status or _last(witness.said))
    elif errors != "[]":
        yield Complaint("cloud-init status", f"errors: {errors or witness.said.partition('errors:')[2].strip()}")


def _by_units(witness: Witness) -> Iterator[Complaint]:
    yield from _by_status(witness)
    for unit in units(witness.said) if not witness.status else ():
        yield Complaint(f"failed unit: {unit}", "failed", unit)


def units(listed: str) -> list[str]:
    """The first word of every line of `systemctl list-units --plain --no-legend`."""
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


_KINDS: dict[str, Callable[[Witness], Iterator[Complaint]]] = {
    "dpkg --verify": _by_dpkg,
    "sfdisk": _by_sfdisk,
    "cloud-init status": _by_cloud_init,
    "failed units": _by_units,
    "": _by_status,
}


def _difference(witness: str, one: Complaint, known: Excusable) -> Difference:
    return Difference(scope=SCOPE, item=one.item, what=one.what, rule=_rule(witness, one, known))


def _rule(witness: str, one: Complaint, known: Excusable) -> str | None:
    if witness == "failed units":
        return "source-too" if one.path in known.failed else None
    state = known.states.get(one.path)
    if state in ((State.MISSING,) if one.what == "missing" else (State.CONFFILE_CHANGED, State.MANAGED_CHANGED)):
        return "source-too"
    # To the scan these belong to nobody, so their state says only whether they are there; the comparison holds the copy's against them.
    if one.path in known.left and state == (None if one.what == "missing" else State.UNMANAGED):
        return "source-too"
    if state == State.EXCLUDED:
        return "left-out"
    # That a file is an added package's explains that it is there, not that it is another than the package's.
    rule = known.rules.get(one.path)
    return None if rule in ("added-package", "added-link", "boot") else rule


def _states(source: Report, paths: set[str]) -> dict[str, str]:
    """The state of each of the paths on the source, where it is told; a path below a pruned folder is excluded with it."""
    if not paths:
        return {}
    found: dict[str, str] = {}
    for entry in source.files():
        if entry.path in paths:
            found[entry.path] = entry.state
        elif entry.state == State.EXCLUDED:
            found.update({path: State.EXCLUDED for path in paths if _below(path, entry)})
    return found


def _below(path: str, entry: FileEntry) -> bool:
    return path.startswith(entry.path.rstrip("/") + "/")


def _last(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no output")
