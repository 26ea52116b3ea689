"""From a recipe to an image of the Docker engine: mmdebstrap builds the root, `docker import` takes it in. No registry."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.lab.engine import OURS, RECIPE, SYSTEM
from emulator.lab.system import LabSystem
from scanner.errors import StepFailed
from scanner.host.mirrors import Mirrors
from scanner.host.run import stream
from scanner.progress import Progress

if TYPE_CHECKING:
    from docker import DockerClient


def ensure_image(engine: DockerClient, system: LabSystem, mirrors: Mirrors, work: Path, progress: Progress, environment: Mapping[str, str] | None = None) -> str:
    """The tag of the image of `system`; built only when the recipe changed since the last time.

    `work` is a folder for temporary files (some 500 MB while it builds); `environment` is for the recipe's `build.sh`.
    Raises `MissingTool`, `CommandFailed` (mmdebstrap), `StepFailed` (the engine does not take it).
    """
    from docker.errors import ImageNotFound

    recipe = system.digest(mirrors)
    tag = f"{OURS}/{system.name}:{recipe}"
    try:
        engine.images.get(tag)
    except ImageNotFound:
        with tempfile.TemporaryDirectory(prefix="lab-", dir=work) as folder:
            tar = Path(folder) / "root.tar"
            progress.stage("bootstrap", f"building {system.name} from packages")
            _bootstrap(system, mirrors, tar, progress, environment or {})
            progress.stage("import", "handing it to the Docker engine")
            _import(engine, system, tag, recipe, tar)
    return tag


def _bootstrap(system: LabSystem, mirrors: Mirrors, tar: Path, progress: Progress, environment: Mapping[str, str]) -> None:
    argv = [
        "mmdebstrap",
        "--mode=root",
        "--format=tar",
        f"--variant={system.variant}",
        f"--include={','.join(system.packages)}",
        '--customize-hook=sh "$FORGELET_LAB_SYSTEM/build.sh" "$1"',
        system.release,
        str(tar),
        *source_lines(system.release, mirrors),
    ]
    env = {**environment, "FORGELET_LAB_SYSTEM": str(system.folder), "TMPDIR": str(tar.parent)}
    stream(argv, progress.log, root=True, env=env, hint="forgelet doctor")


def source_lines(release: str, mirrors: Mirrors) -> list[str]:
    """What becomes the system's /etc/apt/sources.list."""
    lines = [f"deb {mirrors.archive} {release} main", f"deb {mirrors.archive} {release}-updates main"]
    if mirrors.security:
        lines.append(f"deb {mirrors.security} {release}-security main")
    return lines


def _import(engine: DockerClient, system: LabSystem, tag: str, recipe: str, tar: Path) -> None:
    repository, _, version = tag.partition(":")
    changes = [
        f"CMD {json.dumps(system.command)}",
        *(f"EXPOSE {port}/tcp" for port in system.ports),
        *(f"LABEL {key}={value}" for key, value in {OURS: "1", SYSTEM: system.name, RECIPE: recipe}.items()),
    ]
    said = engine.api.import_image_from_file(str(tar), repository=repository, tag=version, changes=changes)
    errors = [line["error"] for line in map(json.loads, said.splitlines()) if "error" in line]
    if errors:
        raise StepFailed(f"the Docker engine did not take the image in: {errors[0]}", hint="forgelet doctor")
