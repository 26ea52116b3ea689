"""Archives that nobody means well with: members that lead outside, links, devices, bombs, bytes that are none. Each import fails with its
reason, or makes a template; nothing is written outside the data folder, and a failed one leaves nothing inside."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from time import process_time
from typing import Any

import pytest
import zstandard
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from support.fuzz import check, nothing_outside, tries

from emulator.jobs import bundles, templates
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome
from emulator.jobs.tasks import Assignment
from emulator.service import Service
from scanner.report import FileEntry, ScanReport, System

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
        assert str(service.folders.data) not in found["errorMessage"] and "Error" not in found["errorMessage"], found
    else:
        for kind in {WAYS[way][2], "mysoftware"}:
            (wrapper,) = http.get(f"{BASE}/{kind}").json().values()
            for made in next(value for value in wrapper.values() if isinstance(value, list)):
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


# a scan that comes with a template, and names that the document gives

PLACE = "bundles/forgelet-scan/1.0"
ROOT = FileEntry(path="/", type="directory", state="managed", reason="shared", mode="0755")
ODD = ("..", ".", "a/b", "a\0b", "\ud800", "\u202egnp", "a\nb", "\x1b[2J", "", " ", "x" * 101, "forgelet-scan", "tools", "1.0")


def tar(members: Iterable[tuple[str, dict[str, Any], bytes]] = (), format: int = tarfile.GNU_FORMAT) -> bytes:
    """A plain archive: name, fields of the member, data."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as archive:
        for name, fields, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sparse(claimed: int) -> bytes:
    """An archive whose one member, an old GNU sparse file, claims to be so long, and has no data."""
    info = tarfile.TarInfo("srv/hole")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = tarfile.itn(claimed, 12, tarfile.GNU_FORMAT)  # type: ignore[attr-defined]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def lines(*rows: FileEntry) -> bytes:
    return zstandard.compress(b"".join(row.to_json().encode() + b"\n" for row in rows))


def scanned(overlay: bytes = b"", **others: bytes) -> dict[str, bytes]:
    """The files of a template's scan; `others` by their names, with `_` for dots."""
    head = ScanReport(overlay=bool(overlay), system=System(distribution="Debian", version="12", arch="x86_64"), counts={"files": 1})
    found = {"report.json": head.model_dump_json().encode(), "files.ndjson.zst": lines(ROOT), **({"overlay.tar": overlay} if overlay else {})}
    return found | {name.replace("_", "."): data for name, data in others.items()}


def stacked(*bundles: dict[str, Any], **changed: Any) -> bytes:
    return json.dumps({"stack": {"name": "web", "version": "1.0", "os": {"name": "Debian", "version": "12", "arch": "x86_64"}, "bundles": list(bundles), **changed}}).encode()


def with_scan(files: dict[str, bytes], *more: dict[str, Any], source: str = PLACE) -> bytes:
    """The archive of a template with that scan in it."""
    bundle = {"name": "forgelet-scan", "version": "1.0", "files": [{"name": name, "source": f"{source}/{name}"} for name in files]}
    found = [(f"{source}/{name}", tarfile.REGTYPE, "", data, 0o644, 0) for name, data in files.items()]
    return packed(found, "template.json", stacked(bundle, *more))


def with_folder() -> bytes:
    """A scan with a folder where a file should be."""
    bundle = {"name": "forgelet-scan", "version": "1.0", "files": [{"name": name, "source": name} for name in (*scanned(), "members.ndjson")]}
    found = [(name, tarfile.REGTYPE, "", data, 0o644, 0) for name, data in {**scanned(), "members.ndjson/a": b""}.items()]
    return packed(found, "template.json", stacked(bundle))


def test_a_scan_that_nothing_is_wrong_with_is_taken(http: TestClient, service: Service) -> None:
    assert not sent(http, service, "imports", with_scan(scanned(tar([("srv/app", {}, b"app")]))))["error"]
    assert not sent(http, service, "imports", with_scan(scanned(sparse(1 << 20), foreign_tar_zst=zstandard.compress(tar([("etc/a", {}, b"a")])))))["error"]


ENDLESS = zstandard.compress(b'{"path":"' + b"a" * (256 << 20))
HOSTILE = {
    "an overlay that leads out": (with_scan(scanned(tar([("../../etc/x", {}, b"x")]))), "../../etc/x"),
    "an overlay with a device that is none": (with_scan(scanned(tar([("dev/x", {"type": b"4", "mode": 0o600}, b""), ("a", {"type": b"Z"}, b"")]))), "'a'"),
    "an overlay whose link leads out": (with_scan(scanned(tar([("a", {"type": tarfile.LNKTYPE, "linkname": "../a"}, b"")]))), "'a'"),
    "an overlay with a time that is none": (with_scan(scanned(tar([("srv/a", {"pax_headers": {"mtime": "soon"}}, b"")], tarfile.PAX_FORMAT))), "srv/a"),
    "an overlay that is cut": (with_scan(scanned(tar([("srv/a", {}, bytes(4096))])[:1024])), "overlay.tar"),
    "a hole of 20 GiB": (with_scan(scanned(sparse(20 << 30))), "srv/hole"),
    "a hole without end": (with_scan(scanned(sparse(1 << 60))), "srv/hole"),
    "a file table with one endless line": (with_scan(scanned(files_ndjson_zst=ENDLESS)), "files.ndjson.zst"),
    "a file table of brackets": (with_scan(scanned(files_ndjson_zst=zstandard.compress(b"[" * 100_000 + b"\n"))), "files.ndjson.zst"),
    "captured files that are garbage": (with_scan(scanned(foreign_tar_zst=b"garbage" * 100)), "foreign.tar.zst"),
    "captured files that lead out": (with_scan(scanned(foreign_tar_zst=zstandard.compress(tar([("../x", {}, b"")])))), "foreign.tar.zst"),
    "captured files without end": (with_scan(scanned(foreign_tar_zst=zstandard.compress(tar([("a", {}, bytes(400 << 20)), ("b", {}, b"")])))), "foreign.tar.zst"),
    "digests of brackets": (with_scan(scanned(tar([("a", {}, b"")]), members_ndjson=b"[" * 100_000)), "members.ndjson"),
    "two scans": (with_scan(scanned(), {"name": "forgelet-scan", "version": "2.0", "files": [{"name": "a", "source": f"{PLACE}/report.json"}]}), "forgelet-scan"),
    "a scan whose file is a folder": (with_folder(), "members.ndjson"),
}


@pytest.mark.parametrize(("archive", "named"), HOSTILE.values(), ids=HOSTILE)
def test_a_scan_that_nobody_means_well_with_is_refused_by_name(http: TestClient, service: Service, archive: bytes, named: str) -> None:
    began = process_time()
    found = sent(http, service, "imports", archive)
    assert found["error"] and named in found["errorMessage"]
    # Of the processor: it would be endless otherwise.
    assert process_time() - began < 20


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_file_that_other_files_lie_in_is_told(http: TestClient, service: Service, way: str) -> None:
    name, document, _ = WAYS[way]
    found = sent(http, service, way, packed([(one, tarfile.REGTYPE, "", b"x", 0o644, 0) for one in ("a", "a/b")], name, document))
    assert found["error"] and "'/a'" in found["errorMessage"]


def test_a_link_to_a_folder_is_told(http: TestClient, service: Service) -> None:
    found = sent(http, service, "imports", packed([("d", tarfile.DIRTYPE, "", b"", 0o755, 0), ("l", tarfile.LNKTYPE, "d", b"", 0o644, 0)], "template.yml", TEMPLATE))
    assert found["error"] and "'d'" in found["errorMessage"]


@tries(40)
@given(way=st.sampled_from(sorted(WAYS)), name=st.sampled_from(ODD) | st.text(max_size=5), version=st.sampled_from(ODD), file=st.sampled_from(ODD))
def test_names_of_a_document_lead_nowhere(http: TestClient, service: Service, way: str, name: str, version: str, file: str) -> None:
    bundle = {"name": name, "version": version, "files": [{"name": file, "source": "head.json"}], "license": {"name": name, "source": "head.json"}}
    document = stacked(bundle) if way == "imports" else json.dumps(bundle).encode()
    sent(http, service, way, packed([("head.json", tarfile.REGTYPE, "", b"{}", 0o644, 0)], WAYS[way][0].replace("yml", "json"), document))


@pytest.mark.parametrize("title", [("..", ".."), ("tools", ".."), ("..", "1.0"), (".", "1.0")])
def test_a_bundle_named_as_a_folder_above_plants_nothing(http: TestClient, service: Service, title: tuple[str, str]) -> None:
    place = service.folders.template(1)
    bundle = {"name": title[0], "version": title[1], "files": [{"name": "head.json", "source": "x"}]}
    found = sent(http, service, "imports", packed([("x", tarfile.REGTYPE, "", b"{}", 0o644, 0)], "template.json", stacked(bundle)))
    assert found["error"] and "'..'" in found["errorMessage"]
    assert not place.exists()


@pytest.mark.parametrize("name", ["..", ".", "\ud800", "\u202egnp", "a\0b"])
def test_a_bundle_is_not_cloned_to_such_a_name(http: TestClient, name: str) -> None:
    answer = http.post(f"{BASE}/mysoftware/1/clone", content=json.dumps({"name": name, "version": "1.0"}), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    check(answer)
