"""The plan of a template without a scan: the packages that its release calls for, what it asks for itself, what a machine needs."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from pathlib import Path

from builders.additions import additions
from builders.archive import Archive
from builders.image import Addition
from builders.plan import BuildPlan
from builders.spec import BuilderSpec
from builders.stack import PROFILES, Stack

TOOLS = {"apt": "the machine installs packages with it", "ca-certificates": "the machine knows whom to trust"}


def scratch_plan(stack: Stack, spec: BuilderSpec, cache: Path) -> BuildPlan:
    """Decide everything about the image of the template. Raises `BuildFailed` when the archive is out of reach or cannot satisfy it."""
    system = stack.system
    archive = Archive(system.codename, system.arch, cache, offline=spec.offline)
    archive.refresh()
    asked = {wish.name: wish.apt for wish in (*stack.bundled, *stack.system.packages)}
    reasons = {
        **dict.fromkeys(archive.standard(PROFILES[system.profile]), f"it is in the profile {system.profile}"),
        **TOOLS,
        **dict.fromkeys(asked, "the template asks for it"),
    }
    needed = {one.item: one.reason for one in additions(system.codename, asked.keys())}
    listed = [Addition(item=name, reason=reason) for name, reason in {**needed, **reasons}.items()]
    words = sorted(asked.get(one.item, one.item) for one in listed)
    # Resolved already here: what cannot be had is said before anything is built.
    archive.resolve([], words)
    digest = hashlib.sha256(json.dumps([words, spec.disk_size, system.codename]).encode()).hexdigest()
    return BuildPlan(
        codename=system.codename,
        arch=system.arch,
        components=["main"],
        hostname=re.sub(r"[^a-z0-9]+", "-", stack.name.lower()).strip("-")[:60] or "machine",
        timezone=stack.installation.timezone,
        packages=[],
        additions=listed,
        wanted=list(asked.values()),
        users=[],
        groups=[],
        overlay=False,
        disk_size=spec.disk_size,
        memory=spec.memory,
        formats=list(spec.formats),
        filesystem=str(uuid.uuid5(uuid.NAMESPACE_URL, f"forgelet:{digest}")),
        disk_id=f"0x{digest[:8]}",
        offline=spec.offline,
        compression=spec.compression,
        compat=spec.compat,
    )
