"""What the demo wants to know of the service, asked over its API. Needs nothing but the standard library.

scan NAME             the id of the newest finished scan of that name
image SCAN            the id of the newest image built from that scan
url NAME              the page of the live system of that name, from `forgelet lab list -o json` on standard input
page IMAGE URL        whether the page at URL is, byte for byte, what the booted image served; status 1 when not
summary SCAN IMAGE TIMES   times, sizes, fidelity; status 1 unless everything is proven
failure DATA          the last job's error, where its log is, and what to do next
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

URL = os.environ.get("FORGELET_URL", "http://127.0.0.1:8090/api").rstrip("/")
USER = os.environ.get("FORGELET_USER", "root")
PASSWORD = os.environ.get("FORGELET_PASSWORD", "forgelet")
DEPENDENCY = "needed by an added package"
SCOPES = ("system", "packages", "files", "users", "services", "witnesses", "probes")


def ask(path: str) -> Any:
    """One resource of the service, as JSON; `path` begins with `/users/…` or `/_forgelet/…`."""
    base = URL.removesuffix("/api") if path.startswith("/_forgelet") else URL
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(
        base + path, headers={"Authorization": f"Basic {login}", "Accept": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def newest(members: list[dict[str, Any]]) -> dict[str, Any]:
    return max(members, key=lambda one: int(one["dbId"]))


def scan(name: str) -> None:
    groups = ask(f"/users/{USER}/scannedinstances?includeScans=true&name={name}")["scannedInstances"]["scannedInstance"]
    done = [
        one
        for group in groups
        for one in group["scans"]["scan"]
        if one["status"]["complete"] and not one["status"]["error"]
    ]
    print(newest(done)["dbId"])


def image(scan_id: str) -> None:
    print(newest(images_of(scan_id))["dbId"])


def images_of(scan_id: str) -> list[dict[str, Any]]:
    every = ask(f"/users/{USER}/images")["images"]["image"]
    return [one for one in every if one["parentUri"].endswith(f"/scans/{scan_id}")]


def proof(image_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(f"/users/{USER}/images/{image_id}/verifications/last")
    return found


def url(name: str) -> None:
    print(next(one["url"] for one in json.load(sys.stdin) if one["name"] == name))


def page(image_id: str, address: str) -> None:
    with urllib.request.urlopen(address, timeout=30) as answer:
        body = answer.read()
    here = hashlib.sha256(body).hexdigest()
    there = next(probe for probe in proof(image_id)["probes"] if ":80/" in probe["probe"])
    print(f"  source container  {len(body):>7} bytes  sha256 {here}")
    print(f"  booted image      {there['size']:>7} bytes  sha256 {there['sha256']}")
    if here != there["sha256"]:
        sys.exit("the page is not the same")
    print("  the same bytes")


def summary(scan_id: str, image_id: str, times: str) -> None:
    built, found = ask(f"/users/{USER}/images/{image_id}"), proof(image_id)
    print("\nSummary")
    for line in Path(times).read_text().splitlines():
        title, start, end = line.split("\t")
        print(f"  {title:<14}{float(end) - float(start):8.1f} s")
    for file in built["files"]:
        size, virtual = file["size"] / 1e6, built["virtualSize"] / (1 << 20)
        print(f"  {file['format']:<14}{size:8.1f} MB on disk, {virtual:.0f} MiB virtual")
    print(f"  stages of the build: {stages(built['stages'])}")
    print(f"  stages of the proof: {stages(found['stages'])}")
    print(
        f"  base disk {'from the cache' if built['baseFromCache'] else 'built now'}, {built['packages']} packages installed by diskimage-builder"
    )
    needed = [one["item"] for one in built["additions"] if one["reason"] != DEPENDENCY]
    print(
        f"  added so that it boots: {', '.join(needed)}, and {len(built['additions']) - len(needed)} packages that these need"
    )
    told(found)
    if not faithful(found):
        sys.exit("not proven")
    print(f"\nOK: image {image_id} boots, serves the same page, and is scan {scan_id}: 0 unexplained differences")


def stages(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {spent:.1f} s" for name, spent in seconds.items())


def told(found: dict[str, Any]) -> None:
    """The fidelity report, per scope and per rule."""
    print(f"\n  {'scope':<12}{'equal':>9}{'explained':>11}{'unexplained':>13}")
    for name, scope in found["scopes"].items():
        print(f"  {name:<12}{scope['equal']:>9}{scope['explained']:>11}{scope['unexplained']:>13}")
    print("\n  excused by rule")
    for excuse in found["excuses"]:
        print(f"  {excuse['count']:>9}  {excuse['rule']}: {excuse['reason']}")
    for one in found["witnesses"]:
        print(f"  witness {one['name']}: {one['verdict']}")


def faithful(found: dict[str, Any]) -> bool:
    """Every scope was compared, and nothing is unexplained: no witness and no probe either."""
    compared = all(name in found["scopes"] for name in SCOPES)
    unexplained = sum(scope["unexplained"] for scope in found["scopes"].values())
    return compared and not unexplained and bool(found["probes"])


def failure(data: str) -> None:
    jobs = ask("/_forgelet/jobs")["jobs"]["job"]
    if not jobs:
        return
    job = newest(jobs)
    if job["state"] != "done":
        print(f"  cause: {job['error'] or job['message'] or job['state']}")
    print(f"  log:   {Path(data) / 'jobs' / str(job['dbId']) / 'log'}, or: forgelet job log {job['dbId']}")
    print(f"  next:  {job['hint'] or 'forgelet job show ' + str(job['dbId'])}")


if __name__ == "__main__":
    verbs = {verb.__name__: verb for verb in (scan, image, url, page, summary, failure)}
    verbs[sys.argv[1]](*sys.argv[2:])
