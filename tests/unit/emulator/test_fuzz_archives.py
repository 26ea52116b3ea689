"""Archives that nobody means well with: members that lead outside, links, devices, bombs, bytes that are none. Each import fails with its
reason, or makes a template; nothing is written outside the data folder, and a failed one leaves nothing inside."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from support.fuzz import check, nothing_outside, tries

from emulator.jobs import bundles, templates
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome
from emulator.jobs.tasks import Assignment
from emulator.service import Service

BASE = "/api/users/root"
TEMPLATE = b"stack: {name: web, version: '1.0', os: {name: Debian, version: '12', arch: x86_64}}\n"
BUNDLE = b"{name: tools, version: '1.0', files: [{name: curl, source: curl, tag: ospkg}]}\n"
WAYS = {"imports": ("template.yml", TEMPLATE, "appliances"), "bundleimports": ("bundle.yml", BUNDLE, "mysoftware")}
KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"Z")
NAMES = ("a", "bundles/a/1/b", "../out", "/tmp/out", "a/../../out", "bundles/../../../out", ".", "..", "", "a//b", "a\\..\\b", "x" * 300, "d/" * 80 + "e", "\udcff", "template.yml", "bundle.yml", "files/../scan")
LINKS = ("a", "..", "/etc/passwd", "../../../../etc/passwd", "", "bundles")

members = st.builds(
    lambda name, kind, link, data, mode, uid: (name, kind, link, data, mode, uid),
    st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.sampled_from(KINDS),
    st.sampled_from(LINKS),
    st.binary(max_size=30),
    st.sampled_from([0, 0o644, 0o4755, 0o7777]),
    st.sampled_from([0, 1000, 2**21]),
)


@pytest.fixture(autouse=True)
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is answered to nonsense is evidence of nothing."""
    monkeypatch.delenv("FORGELET_JOURNAL", raising=False)


@pytest.fixture
def service(service: Service, tasks: Any) -> Service:
    table: dict[str, Callable[[Assignment], Outcome]] = {**tasks.table(), "import": templates.read, "bundle-import": bundles.read}
    service.queue = InProcessQueue(service.ledger, service.folders, table)
    return service


def packed(found: list[tuple[str, bytes, str, bytes, int, int]], name: str, document: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packer, tarfile.open(fileobj=packer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        for member, kind, link, data, mode, uid in [*found, (name, tarfile.REGTYPE, "", document, 0o644, 0)]:
            info = tarfile.TarInfo(member)
            info.type, info.linkname, info.mode, info.uid = kind, link, mode, uid
            info.size = len(data) if kind in (tarfile.REGTYPE, tarfile.CONTTYPE) else 0
            tar.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


def sent(http: TestClient, service: Service, way: str, archive: bytes) -> dict[str, Any]:
    """The import, to its end; nothing outside is touched, and nothing is left of one that failed."""
    with nothing_outside(service.folders.data):
        place = f"{BASE}/{way}/{http.post(f'{BASE}/{way}').json()['dbId']}"
        answer = http.post(f"{place}/uploads", content=archive, headers={"Accept": "application/xml"})
        check(answer)
        assert answer.status_code == 201
        told = http.get(place).json()
        assert service.queue.wait(told["jobId"], 30)
        found: dict[str, Any] = http.get(place).json()["status"]
    if found["error"]:
        assert found["errorMessage"] and "Traceback" not in found["errorMessage"] and "internal" not in found["errorMessage"], found
    else:
        kind = WAYS[way][2]
        (wrapper,) = http.get(f"{BASE}/{kind}").json().values()
        made = next(value for value in wrapper.values() if isinstance(value, list))[-1]
        assert http.delete(f"/api/{made['uri']}").status_code == 204
    assert [path for name in ("templates", "bundles", "uploads") if (service.folders.data / name).is_dir() for path in (service.folders.data / name).iterdir()] == []
    return found


@tries(40)
@given(way=st.sampled_from(sorted(WAYS)), found=st.lists(members, max_size=5))
def test_members_of_every_kind_lead_nowhere(http: TestClient, service: Service, way: str, found: list[tuple[str, bytes, str, bytes, int, int]]) -> None:
    name, document, _ = WAYS[way]
    sent(http, service, way, packed(found, name, document))


@tries(25)
@given(way=st.sampled_from(sorted(WAYS)), at=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans(), raw=st.booleans())
def test_damaged_archives_are_told(http: TestClient, service: Service, way: str, at: int, byte: int, cut: bool, raw: bool) -> None:
    name, document, _ = WAYS[way]
    whole = packed([("a", tarfile.REGTYPE, "", b"contents", 0o644, 0)], name, document)
    whole = gzip.decompress(whole) if raw else whole
    at %= len(whole)
    broken = whole[:at] if cut else whole[:at] + bytes([byte]) + whole[at + 1 :]
    sent(http, service, way, gzip.compress(broken, 1, mtime=0) if raw else broken)


@tries(15)
@given(way=st.sampled_from(sorted(WAYS)), document=st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | st.sampled_from([TEMPLATE * 2, BUNDLE * 2, b"a: &a [*a]", b"x" * 5000, b"[" * 3000]))
def test_configurations_that_are_none_are_told(http: TestClient, service: Service, way: str, document: bytes) -> None:
    sent(http, service, way, packed([], WAYS[way][0], document))


YAML_BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)) + TEMPLATE


def bomb(size: int, declared: int | None = None) -> bytes:
    """An archive of a few kilobytes with one member that is so long."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as packer:
        info = tarfile.TarInfo("bundles/a/1/big")
        info.size = declared if declared is not None else size
        packer.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(size >> 20):
            packer.write(bytes(1 << 20))
    return out.getvalue()


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize(
    "archive",
    [bomb(400 << 20), bomb(1 << 20, 1 << 40), bomb(0, 1 << 62), packed([], "template.yml", YAML_BOMB), packed([], "bundle.yml", YAML_BOMB), gzip.compress(b"\0" * 10240), b"", b"\x1f\x8b"],
    ids=["zeros", "longer than it is", "longer than any", "yaml of a template", "yaml of a bundle", "empty", "nothing", "a beginning"],
)
def test_bombs_fail_with_their_reason(http: TestClient, service: Service, way: str, archive: bytes) -> None:
    assert sent(http, service, way, archive)["error"]
