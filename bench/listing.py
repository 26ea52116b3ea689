"""Listing 1,000 scans over HTTP, while the service does nothing else, and while it takes in a scan of 100,000 files."""

from __future__ import annotations

import base64
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.support import LOGIN, make_tree, served, stopwatch, tell

SCANS = 1000
GROUPS = (1, 100)
"""All scans in one group, and ten in each."""
FILES = 100_000
QUIET = 40
"""Listings while nothing else is done."""
GOAL = 50
PLACE = "/api/users/root/scannedinstances"


def fill(data: Path, groups: int) -> None:
    """Rows of finished scans, as the service itself would write them."""
    from emulator.app import make_service
    from emulator.jobs import ledger
    from emulator.jobs.kinds import State
    from emulator.resources.scans.tables import Scan, ScannedInstance
    from emulator.settings import Settings
    from emulator.storage import stamp

    here = make_service(Settings(data=data))
    # The first user is seeded beside the start-up; whoever logs in waits for it.
    owner = here.authenticator.user("Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()).id
    assert owner is not None
    with here.database.write() as session:
        for group in range(groups):
            instance = ScannedInstance(
                user_id=owner,
                name=f"group {group}",
                overlay=False,
                distribution="Debian",
                version="12",
                arch="amd64",
                created=stamp.now(),
            )
            session.add(instance)
            session.flush()
            assert instance.id is not None
            for number in range(1, SCANS // groups + 1):
                job = ledger.create(
                    session,
                    owner,
                    "scan",
                    "",
                    {"name": instance.name, "target": "docker:web", "overlay": False, "exclude": []},
                )
                job.state, job.percent, job.message, job.exit_code = State.DONE, 100, "Successfully scanned", 0
                assert job.id is not None
                name = f"{instance.name} Scan #{number}"
                session.add(
                    Scan(
                        instance_id=instance.id,
                        number=number,
                        name=name,
                        target="docker:web",
                        job_id=job.id,
                        created=stamp.now(),
                    )
                )
    here.database.close()


def listed(http: httpx.Client, while_true: Callable[[int], bool]) -> list[float]:
    """Milliseconds of each listing, request to last byte; one every 50 ms."""
    took: list[float] = []
    while while_true(len(took)):
        with stopwatch() as listing:
            http.get(PLACE, params={"includeScans": True}).raise_for_status()
        took.append(listing() * 1000)
        time.sleep(0.05)
    return took


def report(what: str, took: list[float]) -> None:
    worst = sorted(took)[int(len(took) * 0.95)]
    tell(
        f"  {what:<28} median {statistics.median(took):5.1f} ms   95 % {worst:5.1f} ms   ({len(took)} listings, goal {GOAL})"
    )


def measure(place: Path, tree: Path, groups: int) -> None:
    """One service on a data folder of its own."""
    data = place / f"data{groups}"
    fill(data, groups)
    with served(data) as (http, _):
        _tell_both(http, tree, groups)


def _tell_both(http: httpx.Client, tree: Path, groups: int) -> None:
    known = http.get(PLACE, params={"includeScans": True}).json()["scannedInstances"]["scannedInstance"]
    assert sum(len(one["scans"]["scan"]) for one in known) == SCANS
    report(f"{groups} groups, quiet", listed(http, lambda done: done < QUIET))
    job = http.post(PLACE, json={"name": "bench", "target": f"directory:{tree}"}).raise_for_status().json()["jobId"]

    def running(_done: int) -> bool:
        return http.get(f"/_forgelet/jobs/{job}").json()["state"] in ("queued", "running")

    report(f"{groups} groups, during a scan", listed(http, running))
    assert http.get(f"/_forgelet/jobs/{job}").json()["state"] == "done"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="forgelet-bench-") as place:
        tree = Path(place) / "tree"
        make_tree(tree, FILES)
        tell(f"listing: {SCANS} scans stored, scan of {FILES} files meanwhile")
        for groups in GROUPS:
            measure(Path(place), tree, groups)


if __name__ == "__main__":
    main()
