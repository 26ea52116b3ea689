"""The local cloud's images: a folder each, with the disk (a hard link to the file that was built, where that is possible) and what is known of it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from builders.clouds.base import Offer
from scanner.errors import NotFound
from scanner.progress import Progress

PIECE = 4 << 20


class Kept(BaseModel):
    """`image.json` of one image."""

    model_config = ConfigDict(extra="forbid")

    id: str
    tenant: str
    name: str
    format: str
    size: int
    sha256: str
    sha512: str
    min_disk: int
    min_ram: int
    public: bool
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The images below one folder."""

    folder: Path

    def disk(self, image: Kept) -> Path:
        return self.folder / image.id / "disk"

    def all(self) -> Iterator[Kept]:
        for file in sorted(self.folder.glob("[!.]*/image.json")):
            # Between the listing and the reading an image may be taken away.
            with suppress(FileNotFoundError):
                yield Kept.model_validate_json(file.read_bytes())

    def find(self, image_id: str, tenant: str) -> Kept:
        """An image of the tenant, or a public one. Raises `NotFound`."""
        for one in self.all():
            if one.id == image_id and (one.tenant == tenant or one.public):
                return one
        raise NotFound(f"the local cloud has no image {image_id}", hint="forgelet image list")

    def same(self, offer: Offer, tenant: str) -> Kept | None:
        """The tenant's image with the same contents under the same name, as visible as this one shall be."""
        wanted = (offer.sha256, offer.name, offer.public, tenant)
        return next((one for one in self.all() if (one.sha256, one.name, one.public, one.tenant) == wanted and one.id not in offer.doomed), None)

    def add(self, image_id: str, offer: Offer, tenant: str, progress: Progress) -> Kept:
        """Keep the image. Raises `Cancelled`, `ValueError` when the file is not what the offer says."""
        partial = self._partial(image_id)
        partial.mkdir(parents=True, mode=0o700)
        try:
            _link(offer.file, partial / "disk")
            sha256, sha512, size = _digests(partial / "disk", progress)
            if sha256 != offer.sha256:
                raise ValueError("the file is not the one that was built")
            kept = Kept(
                id=image_id,
                tenant=tenant,
                name=offer.name,
                format=offer.format,
                size=size,
                sha256=sha256,
                sha512=sha512,
                min_disk=offer.min_disk,
                min_ram=offer.min_ram,
                public=offer.public,
                properties=dict(offer.properties),
            )
            (partial / "image.json").write_text(kept.model_dump_json(indent=1), encoding="utf-8")
            partial.rename(self.folder / image_id)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return kept

    def remove(self, image: Kept) -> None:
        shutil.rmtree(self.folder / image.id, ignore_errors=True)

    def abandon(self, image_id: str) -> None:
        """Take away what is there of an image that a process began to add which is gone."""
        shutil.rmtree(self._partial(image_id), ignore_errors=True)

    def _partial(self, image_id: str) -> Path:
        return self.folder / f".{image_id}"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _digests(path: Path, progress: Progress) -> tuple[str, str, int]:
    """SHA-256, SHA-512 and size; tells how far it is."""
    short, long, done, total = hashlib.sha256(), hashlib.sha512(), 0, path.stat().st_size or 1
    with path.open("rb") as disk:
        while piece := disk.read(PIECE):
            short.update(piece)
            long.update(piece)
            done += len(piece)
            progress.moved(done)
            progress.update(10 + 80 * done // total, f"{done} of {total} bytes")
    return short.hexdigest(), long.hexdigest(), done
