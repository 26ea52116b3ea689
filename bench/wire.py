"""UForge's XML: how long 1,000 images, scans and publications take to write, next to the same data as JSON."""

from __future__ import annotations

from typing import Any

from bench.support import stopwatch, tell
from emulator.wire.answer import dumps
from emulator.wire.writer import encode

ITEMS = 1000
ROUNDS = 5


def _status() -> dict[str, Any]:
    return {"cancelled": False, "complete": True, "error": False, "errorMessage": "", "message": "done", "percentage": 100}


def _format() -> dict[str, Any]:
    return {"name": "OpenStack QCOW2", "format": {"name": "openstackqcow2"}, "type": "cloud", "category": {"name": "Cloud"}}


def _image(number: int) -> dict[str, Any]:
    uri = f"users/root/scannedinstances/1/scans/{number}"
    common = {"created": "2024-05-01T12:00:00.123Z", "dbId": number, "name": f"image {number}", "parentUri": uri, "uri": f"{uri}/images/{number}"}
    profile = {"diskSize": 12288, "memorySize": 1024}
    return {**common, "downloadUri": f"{uri}/d", "fileSize": 10**9, "size": 10**9, "compress": False, "revision": 1, "version": "1", "status": _status(), "targetFormat": _format(), "installProfile": profile}


def main() -> None:
    data = {"images": {"image": [_image(number) for number in range(ITEMS)]}}
    encode("images", data)
    took = []
    for _ in range(ROUNDS):
        with stopwatch() as seconds:
            size = len(encode("images", data))
        took.append(seconds())
    with stopwatch() as seconds:
        dumps(data)
    tell(f"wire: {ITEMS} images as XML ({size / 1024:.0f} KiB): {min(took) * 1000:.0f} ms, as JSON {seconds() * 1000:.0f} ms")


if __name__ == "__main__":
    main()
