"""What a build leaves behind, and what a proof says of it: plain data, stored as JSON beside the image."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from scanner.host.whole import write_whole


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid")


def driver(format: str) -> str:
    """What qemu calls an image format."""
    return {"vhd": "vpc"}.get(format, format)


class ImageFile(_Data):
    """One file of an image."""

    format: str
    """One of `builders.spec.FORMATS`."""
    name: str
    """File name inside the image's folder."""
    size: int
    """Bytes on disk."""
    sha256: str


class Addition(_Data):
    """Something that Forgelet put into the image and the source does not have, with its reason."""

    item: str
    reason: str


class Image(_Data):
    """A finished machine image: `image.json` in its folder."""

    files: list[ImageFile]
    virtual_size: int
    """Bytes."""
    memory: int
    """MiB, from the spec; used for the verification's machine and for publishing."""
    packages: int
    """Number of packages installed by this build."""
    additions: list[Addition] = Field(default_factory=list)
    """The closed list of what Forgelet adds (kernel, init, bootloader, cloud-init, agent), each with its reason."""
    not_brought: dict[str, int] = Field(default_factory=dict)
    """Reason -> number of paths that the build could not bring, such as `no overlay`."""
    nearest: dict[str, str] = Field(default_factory=dict)
    """Package -> the version that was installed in the place of the source's, which no repository offers."""
    base_from_cache: bool = False
    stages: dict[str, float] = Field(default_factory=dict)
    """Stage -> seconds."""
    provenance: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Image:
        """Raises FileNotFoundError when the build never finished."""
        return cls.model_validate_json((folder / "image.json").read_bytes())

    def save(self, folder: Path) -> None:
        """Write `image.json` in one move: its presence says that the image is whole."""
        write_whole(folder / "image.json", self.model_dump_json(indent=1))

    def boot_line(self, folder: Path) -> str:
        """The plain qemu line that boots the image in `folder` without Forgelet; nothing is written to the image."""
        file = self.file()
        return (
            f"qemu-system-x86_64 -m {self.memory} -smp 2 -snapshot -drive file={shlex.quote(str(folder / file.name))},format={driver(file.format)},if=virtio "
            "-nic user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:2222-:22 -nographic"
        )

    def file(self, format: str | None = None) -> ImageFile:
        """The file of that format, or the first one. Raises KeyError."""
        for one in self.files:
            if format in (None, one.format):
                return one
        raise KeyError(format)


class Difference(_Data):
    """One thing that is not the same on source and copy."""

    scope: str
    """`system`, `packages`, `files`, `users`, `services`, `blind spots`, `witnesses`, `probes` or `image`"""
    item: str
    """The package, path, user or unit; paths are printable (see `BlindSpot.path`)."""
    what: str
    """Which property differs: `only in source`, `only in copy`, or a list such as `mode, uid`."""
    source: str = ""
    copy_: str = Field(default="", alias="copy")
    rule: str | None = None
    """The rule that explains it; None: unexplained."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)


class Excuse(_Data):
    """One rule of the closed list, and how much it explained."""

    rule: str
    reason: str
    count: int


class Scope(_Data):
    """The sum of one scope."""

    equal: int = 0
    explained: int = 0
    unexplained: int = 0


class Witness(_Data):
    """What an independent tool said, and whether it is content."""

    name: str
    status: int
    """Its exit status."""
    said: str
    verdict: str = ""
    """`agrees`, `explained` (what it complains of has its rule), `contradicts`, or `cannot say`"""


class Proven(_Data):
    """What exactly was compared."""

    source: str = ""
    scan_digest: str = ""
    copy_digest: str = ""
    """Of the copy's own file table."""
    image: str = ""
    """sha256 of the file that was booted, measured before it was."""


class Fidelity(_Data):
    """The fidelity report: is the copy the source?"""

    proven: Proven = Field(default_factory=Proven)

    scopes: dict[str, Scope] = Field(default_factory=dict)
    differences: list[Difference] = Field(default_factory=list)
    """Every difference, explained ones included, unexplained first."""
    excuses: list[Excuse] = Field(default_factory=list)
    runtime: dict[str, Any] = Field(default_factory=dict)
    """What the booted copy answered: failed units, cloud-init status, kernel, seconds to the agent."""
    probes: list[dict[str, Any]] = Field(default_factory=list)
    """As `probes.row` makes them: both answers, and whether they are `equal`."""
    source_failed: list[str] = Field(default_factory=list)
    """Units that fail on the source."""
    witnesses: list[Witness] = Field(default_factory=list)
    transcript: list[str] = Field(default_factory=list)
    """What the copy wrote to its serial console, line by line, printable."""
    stages: dict[str, float] = Field(default_factory=dict)
    strict: bool = False
    """Whether what a rule explains counts as well."""

    @property
    def unexplained(self) -> int:
        return sum(scope.unexplained for scope in self.scopes.values())

    @property
    def explained(self) -> int:
        return sum(scope.explained for scope in self.scopes.values())

    @property
    def faithful(self) -> bool:
        """Nothing is unexplained: no path, no account, no witness, no probe. Of a strict proof: nothing differs."""
        return bool(self.scopes) and not self.unexplained and not (self.strict and self.explained)
