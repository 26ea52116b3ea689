"""The evidence of a migration as one archive that can be carried anywhere: what was there, what was asked for, what was built, what was proven.

    manifest.json                     what each other member is (size, sha256), and what was left out, by its sha256
    source/                           the source's report: head.json, files.ndjson.zst
    spec.json  plan.json  image.json  what was asked for, planned and built
    origins.ndjson.zst                what is the build's own, and how it was left (`origins.py`)
    build.log  verify.log             the jobs' logs
    proof/                            fidelity.json, fidelity.html, and what is needed to compare again (`kept.py`)

Neither disk nor overlay is in it: no file's contents, no password. What a report tells, it tells: a container's environment too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from builders import origins
from builders.archived import add_file, add_text, packing
from builders.formats import sha256
from builders.proof import kept

SCHEMA = 2
MANIFEST, SPEC = "manifest.json", "spec.json"
ARCHIVES = ("overlay.tar.zst", "foreign.tar.zst")
"""What a scan has besides its report, and evidence has not."""


class Member(BaseModel):
    """One file."""

    model_config = ConfigDict(extra="forbid")

    size: int
    sha256: str


class Manifest(BaseModel):
    """What is in the archive."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA
    image: int
    """Its number in the service that built and proved it."""
    files: dict[str, Member] = Field(default_factory=dict)
    left_out: dict[str, Member] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One migration, as it lies in a data folder."""

    number: int
    scan: Path
    image: Path
    proof: Path
    spec: Mapping[str, Any]
    logs: Mapping[str, Path]
    """Name in the archive -> file; those that are not there any more are passed over."""


def pack(case: Case, archive: Path) -> str:
    """Write the archive in one move; answers its sha256. Equal cases give equal archives. Raises FileNotFoundError, `OlderImage`."""
    origins.record(case.image)
    files = members(case)
    spec = json.dumps(dict(case.spec), indent=1, sort_keys=True).encode()
    told = {SPEC: Member(size=len(spec), sha256=hashlib.sha256(spec).hexdigest()), **{name: _member(path) for name, path in files.items()}}
    manifest = Manifest(image=case.number, files=told, left_out=_left_out(case))
    with packing(archive) as tar:
        add_text(tar, MANIFEST, manifest.model_dump_json(indent=1))
        add_text(tar, SPEC, spec.decode())
        for name, path in files.items():
            add_file(tar, name, path)
    return sha256(archive)


def members(case: Case) -> dict[str, Path]:
    """Name in the archive -> file."""
    found = {
        **{f"source/{name}": case.scan / name for name in kept.TABLE},
        **{name: case.image / name for name in ("image.json", "plan.json", origins.FILE)},
        **{name: path for name, path in case.logs.items() if path.is_file()},
        **{f"proof/{path.relative_to(case.proof)}": path for path in sorted(case.proof.rglob("*")) if path.is_file()},
    }
    return dict(sorted(found.items()))


def _left_out(case: Case) -> dict[str, Member]:
    disks = json.loads((case.image / "image.json").read_bytes())["files"]
    archives = {name: _member(case.scan / name) for name in ARCHIVES if (case.scan / name).is_file()}
    return {**archives, **{one["name"]: Member(size=one["size"], sha256=one["sha256"]) for one in disks}}


def _member(path: Path) -> Member:
    return Member(size=path.stat().st_size, sha256=sha256(path))
