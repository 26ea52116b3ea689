"""A bundle of evidence checked again, on any machine: is it whole, and does its verdict follow from what is in it?

The two file tables are compared anew by the rules of this Forgelet, the witnesses' words and the probes' answers are judged anew, and
the result must be the report that the bundle brings, difference by difference. What only the disk could answer (`copydisk.Attested`)
is taken on the proof's word, and said to be. Whoever could forge all of it in step would not be found out by that: so the bundle's
own sha256, known from the one who made it, can be asked for as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from builders import origins
from builders.archived import unpack_archive
from builders.errors import Refuted
from builders.fidelity import compare
from builders.formats import sha256
from builders.image import Fidelity, Image
from builders.plan import BuildPlan
from builders.probes import same
from builders.proof import evidence, kept
from builders.proof.evidence import Manifest
from builders.verify import Told, conclude
from scanner.errors import HostileInput
from scanner.report import FileEntry, Report
from scanner.wire import canonical, check


@dataclass(slots=True)
class Checked:
    """A bundle that holds."""

    sha256: str
    faithful: bool
    fidelity: Fidelity
    attested: list[str] = field(default_factory=list)
    """What was taken on the proof's word."""

    def told(self) -> dict[str, Any]:
        """For programs."""
        scopes = {name: sums.model_dump() for name, sums in self.fidelity.scopes.items()}
        return {"sha256": self.sha256, "faithful": self.faithful, "strict": self.fidelity.strict, "proven": self.fidelity.proven.model_dump(), "scopes": scopes, "attested": self.attested}


def recheck(bundle: Path, work: Path, known: str = "", *, strict: bool = False) -> Checked:
    """Check the archive, unpacked below the empty folder `work`; `known`: the sha256 that it must have; `strict`: what a rule explains
    counts as well, whatever its maker asked for.

    Raises `Refuted` with every reason, `HostileInput` for what is no archive of evidence.
    """
    digest = sha256(bundle)
    problems = [f"the archive's sha256 is {digest}, not {known}"] if known and known.lower() != digest else []
    names = unpack_archive(bundle, work)
    problems += _members(work, names)
    try:
        found = problems or list(_claims(work))
    except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        raise HostileInput(f"the evidence cannot be read: {error}", hint="make it again: forgelet image evidence --id ID") from error
    if found:
        raise Refuted("the evidence does not hold", problems=found, hint="ask for the bundle again, and for its sha256")
    fidelity = _fidelity(work)
    fidelity.strict = fidelity.strict or strict
    return Checked(digest, fidelity.faithful, fidelity, _word(work))


def _members(work: Path, names: list[str]) -> list[str]:
    """Whether every file is there, no other, each as the manifest says."""
    if evidence.MANIFEST not in names:
        raise HostileInput("this is no bundle of evidence: it has no manifest.json", hint="forgelet image evidence --id ID makes one")
    try:
        manifest = Manifest.model_validate_json((work / evidence.MANIFEST).read_bytes())
    except ValidationError as error:
        raise HostileInput(f"the manifest of the evidence cannot be understood: {error.error_count()} mistakes", hint="a newer Forgelet may have made it") from error
    here = set(names) - {evidence.MANIFEST}
    wrong = [f"{name}: it is not in the archive" for name in sorted(manifest.files.keys() - here)]
    wrong += [f"{name}: the manifest does not know it" for name in sorted(here - manifest.files.keys())]
    for name in sorted(here & manifest.files.keys()):
        wrong += [f"{name}: not the file that the manifest names"] if sha256(work / name) != manifest.files[name].sha256 else []
    return wrong


def _claims(work: Path) -> Iterator[str]:
    """Everything that the files say which does not follow from the others."""
    image, source, claimed = Image.load(work), Report(work / "source"), _fidelity(work)
    copy = kept.load(work / "proof", work)
    yield from _tables({"source": source, "copy": copy.report})
    yield from _chain(work, image, source, claimed)
    heard = Told(
        runtime={name: value for name, value in claimed.runtime.items() if name != "problems"},
        probes=[{**one, "equal": same(one)} for one in claimed.probes],
        source_failed=frozenset(claimed.source_failed),
        transcript=claimed.transcript,
        image=claimed.proven.image,
    )
    spoken = [one.model_copy(update={"verdict": ""}) for one in claimed.witnesses]
    again = conclude(image, source, copy.report, compare(source, copy), heard, spoken, claimed.stages).model_copy(update={"strict": claimed.strict})
    yield from _differing(claimed, again)


def _tables(reports: dict[str, Report]) -> Iterator[str]:
    for name, report in reports.items():
        digest = hashlib.sha256()
        for line in report.lines():
            digest.update(canonical(check(FileEntry.from_json(line)), line))
        if digest.hexdigest() != report.head.digest:
            yield f"the {name}'s file table is not the one that its digest was made of"


def _chain(work: Path, image: Image, source: Report, claimed: Fidelity) -> Iterator[str]:
    """Report -> plan -> image -> proof: each names the one before it."""
    plan = BuildPlan.model_validate_json((work / "plan.json").read_bytes())
    if image.provenance.get("scan_digest") != source.head.digest:
        yield "the image was not built from the source's report"
    if not {one.item for one in plan.additions} <= {one.item for one in image.additions}:
        yield "the image lacks what its plan adds"
    if image.provenance.get("origins") != sha256(work / origins.FILE):
        yield "the record of what is the build's own is not the one that the image was built with"
    disks = {file.name: file.sha256 for file in image.files}
    manifest = Manifest.model_validate_json((work / evidence.MANIFEST).read_bytes())
    if {name: one.sha256 for name, one in manifest.left_out.items() if name in disks} != disks:
        yield "the manifest names other disks than the image"


def _differing(claimed: Fidelity, again: Fidelity) -> Iterator[str]:
    ours, theirs = (json.loads(one.model_dump_json(by_alias=True)) for one in (claimed, again))
    for name in ours:
        if name != "differences" and ours[name] != theirs[name]:
            yield f"{name}: the report says {_short(ours[name])}; what follows is {_short(theirs[name])}"
    said, found = ({json.dumps(row, sort_keys=True) for row in side["differences"]} for side in (ours, theirs))
    yield from (f"the report leaves out a difference: {_row(row)}" for row in sorted(found - said)[:20])
    yield from (f"the report tells a difference that is none: {_row(row)}" for row in sorted(said - found)[:20])


def _row(row: str) -> str:
    told = json.loads(row)
    return f"{told['scope']} {told['item']}: {told['what']} ({told['rule'] or 'unexplained'})"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 300 else text[:300] + " …"


def _fidelity(work: Path) -> Fidelity:
    return Fidelity.model_validate_json((work / "proof" / "fidelity.json").read_bytes())


def _word(work: Path) -> list[str]:
    attested = kept.attested(work / "proof")
    words = [f"{path}: it begins with the source's bytes" for path in sorted(attested.prefixes)]
    return [*words, f"accounts, passwords, their ages and subordinate ids: {len(attested.lines)} lines are one side's alone", "what the running copy answered, and what each witness said"]
