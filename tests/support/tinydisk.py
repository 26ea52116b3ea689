"""The smallest disk that boots: a boot sector with one partition, which says a word on the serial line and halts."""

from __future__ import annotations

import hashlib
from pathlib import Path

from builders.clouds.base import Offer
from builders.image import Image, ImageFile, driver
from scanner.host.run import run

WORD = b"forgelet boot sector\r\n\0"
MIB = 1 << 20
# xor ax,ax; mov ds,ax; mov si,0x7c15; next: lodsb; or al,al; jz halt; mov dx,0x3f8; out dx,al; jmp next; halt: hlt; jmp halt
CODE = bytes.fromhex("31c0 8ed8 be157c ac 08c0 7406 baf803 ee ebf5 f4 ebfd")


def raw_disk(path: Path, size: int = 4 * MIB, *, partition: bool = True) -> None:
    """Write it."""
    sector = bytearray(512)
    sector[: len(CODE)] = CODE
    sector[len(CODE) : len(CODE) + len(WORD)] = WORD
    if partition:
        # One active Linux partition from the first MiB to the end.
        sector[446:462] = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (size // 512 - 2048).to_bytes(4, "little")
    sector[510:512] = b"\x55\xaa"
    with path.open("wb") as disk:
        disk.write(sector)
        disk.seek(2 * MIB)
        disk.write(b"contents " * 4096)
        disk.truncate(size)


def image_folder(folder: Path, format: str = "raw") -> Image:
    """The folder of a finished image, as a build leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"image.{format}"
    raw_disk(folder / "disk")
    if format == "raw":
        (folder / "disk").rename(file)
    else:
        run(["qemu-img", "convert", "-f", "raw", "-O", driver(format), str(folder / "disk"), str(file)])
        (folder / "disk").unlink()
    content = file.read_bytes()
    made = Image(files=[ImageFile(format=format, name=file.name, size=len(content), sha256=hashlib.sha256(content).hexdigest())], virtual_size=4 * MIB, memory=64, packages=0)
    made.save(folder)
    return made


def offer(folder: Path, name: str = "tiny", format: str = "raw") -> Offer:
    """Offered under `name`."""
    from builders.clouds.offer import offer_of

    image_folder(folder, format)
    return offer_of(folder, name, public=False, source=None)
