"""A bundle of evidence: it holds where nobody knows the machine, and whatever is changed in it is found out."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import zstandard

from builders import origins
from builders.built import Built
from builders.capture import pick
from builders.copydisk import Mounted
from builders.errors import Refuted
from builders.fidelity import compare
from builders.formats import sha256
from builders.image import Addition, Image, ImageFile, Witness
from builders.origins import Own
from builders.probes import Answer, Http, row
from builders.proof import kept
from builders.proof.evidence import Case, pack
from builders.proof.page import page
from builders.proof.recheck import recheck
from builders.verify import Told, conclude
from scanner.errors import HostileInput
from scanner.report import Report

from .conftest import Machine, Record, plan_of, recorded


@dataclass
class Migration:
    """A migration as it lies in a data folder, and its bundle."""

    case: Case
    folder: Path

    def bundle(self) -> Path:
        pack(self.case, self.folder / "bundle.tar.gz")
        return self.folder / "bundle.tar.gz"


def machine(made: Machine, *, log: bytes) -> Machine:
    made.package("nginx", {"/usr/sbin/nginx": b"binary"}, conffiles={"/etc/nginx.conf": b"x"})
    made.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n")
    made.file("/etc/shadow", b"root:*:19000:0:99999:7:::\n", 0o640)
    made.file("/srv/page", b"hello")
    made.file("/var/log/syslog", log)
    return made


def write_record(folder: Path, record: Record) -> str:
    """As the last pass does; answers its sha256."""
    rules, packages = ({path: getattr(one, name) for path, one in record.items()} for name in ("rule", "package"))
    origins.write(folder / origins.FILE, record, rules, packages, lambda path: cast("Built", record[path].built))
    return sha256(folder / origins.FILE)


@pytest.fixture
def migration(make_machine: Callable[[str], Machine], tmp_path: Path) -> Migration:
    source, copy = machine(make_machine("source"), log=b"one\n"), machine(make_machine("copy"), log=b"one\ntwo\n")
    copy.package("grub", {"/usr/sbin/grub": b"added"})
    copy.file("/srv/page", b"hullo")
    ours = source.scan(choose=lambda report: lambda one: pick(one, set()))
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "image.qcow2").write_bytes(b"disk")
    image = Image(
        files=[ImageFile(format="qcow2", name="image.qcow2", size=4, sha256=sha256(folder / "image.qcow2"))],
        virtual_size=1,
        memory=1,
        packages=1,
        additions=[Addition(item="grub", reason="boots")],
        provenance={"scan_digest": ours.head.digest, "origins": write_record(folder, recorded(ours, copy, "grub"))},
    )
    image.save(folder)
    (folder / "plan.json").write_text(plan_of(additions=["grub"]).model_dump_json())
    disk = Mounted(copy.root)
    theirs = kept.copy_of(folder, copy.scan(), disk)
    found = compare(ours, theirs)
    heard = Told(runtime={"kernel": "6.1"}, probes=[row(Http(80, "/"), Answer.of(200, b"a"), Answer.of(200, b"a"))], transcript=["Linux"], image=image.files[0].sha256)
    fidelity = conclude(image, ours, theirs.report, found, heard, [Witness(name="dpkg --verify", status=0, said="")], {"boot": 1.0})
    proof = tmp_path / "proof"
    kept.save(proof, theirs)
    (proof / "fidelity.json").write_text(fidelity.model_dump_json(by_alias=True))
    (proof / "fidelity.html").write_text(page(fidelity))
    (tmp_path / "log").write_text("built\n")
    logs = {"build.log": tmp_path / "log", "verify.log": tmp_path / "gone"}
    return Migration(Case(7, ours.folder, folder, proof, {"type": "openstack", "disk_size": 2000}, logs), tmp_path)


def checked(bundle: Path, tmp_path: Path, known: str = "") -> Any:
    work = tmp_path / "elsewhere"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return recheck(bundle, work, known)


def test_a_bundle_holds_where_nothing_of_the_migration_is_left(migration: Migration, tmp_path: Path) -> None:
    bundle = shutil.copy(migration.bundle(), tmp_path / "carried")
    for one in (migration.case.scan, migration.case.image, migration.case.proof):
        shutil.rmtree(one)
    found = checked(bundle, tmp_path, sha256(bundle))
    assert not found.faithful
    assert {(one.scope, one.item, one.what) for one in found.fidelity.differences if one.rule is None} == {("files", "/srv/page", "mtime, sha256")} | {
        ("files", one.item, "mtime") for one in found.fidelity.differences if one.rule is None and one.what == "mtime"
    }
    assert found.fidelity.scopes["packages"].explained == 1
    assert any("/var/log/syslog" in word for word in found.attested)


def test_a_bundle_is_checked_strictly_where_that_is_asked_for(migration: Migration, tmp_path: Path) -> None:
    edited(lambda told: told.update(strict=True), "proof/fidelity.json")(migration)
    assert checked(migration.bundle(), tmp_path).fidelity.strict
    edited(lambda told: told.update(strict=False), "proof/fidelity.json")(migration)
    shutil.rmtree(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    assert recheck(migration.bundle(), tmp_path / "elsewhere", strict=True).told()["strict"]


def test_it_has_everything_but_disks_and_contents(migration: Migration) -> None:
    with tarfile.open(migration.bundle()) as tar:
        names = set(tar.getnames())
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        held = b"".join(tar.extractfile(one).read() for one in tar)  # type: ignore[union-attr]
    assert names == {
        "manifest.json", "spec.json", "plan.json", "image.json", "origins.ndjson.zst", "build.log", "source/head.json", "source/files.ndjson.zst",
        "proof/fidelity.json", "proof/fidelity.html", "proof/attested.json", "proof/copy/head.json", "proof/copy/files.ndjson.zst",
    }  # fmt: skip
    assert set(manifest["left_out"]) == {"image.qcow2", "overlay.tar.zst", "foreign.tar.zst"}
    assert b"root:*" not in held


def test_equal_cases_give_equal_bundles(migration: Migration) -> None:
    first = sha256(migration.bundle())
    assert sha256(migration.bundle()) == first


def test_another_bundle_than_the_one_that_was_told_of_is_refused(migration: Migration, tmp_path: Path) -> None:
    with pytest.raises(Refuted) as caught:
        checked(migration.bundle(), tmp_path, "0" * 64)
    assert "sha256" in caught.value.problems[0]


def edited(change: Callable[[dict[str, Any]], object], name: str) -> Callable[[Migration], None]:
    """A change in a JSON file of the migration, before a new manifest is made: a forger who knows the format."""

    def act(migration: Migration) -> None:
        place = {"proof": migration.case.proof, "image": migration.case.image, "scan": migration.case.scan}[name.partition("/")[0]] / name.partition("/")[2]
        told = json.loads(place.read_bytes())
        change(told)
        place.write_text(json.dumps(told))

    return act


def no_difference(told: dict[str, Any]) -> None:
    told["differences"] = [one for one in told["differences"] if one["rule"]]
    for sums in told["scopes"].values():
        sums["unexplained"] = 0


def excuse(told: dict[str, Any]) -> None:
    for one in told["differences"]:
        if one["rule"] is None:
            one["rule"] = "boot"
    told["differences"].sort(key=lambda one: one["rule"] is not None)


def table(migration: Migration) -> None:
    place = migration.case.proof / "copy" / "files.ndjson.zst"
    text = zstandard.ZstdDecompressor().stream_reader(place.read_bytes()).read()
    page = next(line for line in Report(migration.case.scan).lines() if b'"/srv/page"' in line)
    lines = [page if b'"/srv/page"' in line else line for line in text.splitlines(keepends=True)]
    place.write_bytes(zstandard.ZstdCompressor().compress(b"".join(lines)))


def another_record(migration: Migration) -> None:
    """A file of nobody's, made one of the build's."""
    folder = migration.case.image
    write_record(folder, origins.record(folder) | {"/srv/page": Own("/srv/page", "added-package", "grub", Built("file", "0644"))})


FORGED: dict[str, tuple[Callable[[Migration], None], str]] = {
    "sums": (edited(lambda told: told["scopes"]["files"].update(unexplained=0), "proof/fidelity.json"), "scopes: "),
    "a difference less": (edited(no_difference, "proof/fidelity.json"), "leaves out a difference: files /srv/page"),
    "a difference excused": (edited(excuse, "proof/fidelity.json"), "leaves out a difference: files /srv/page"),
    "the copy's table": (table, "the copy's file table"),
    "the copy's digest": (edited(lambda told: told.update(digest="0" * 64), "proof/copy/head.json"), "the copy's file table"),
    "the source's packages": (edited(lambda told: told["packages"].clear(), "scan/head.json"), "scopes: "),
    "an account": (edited(lambda told: told["users"].append({"name": "toor", "uid": 0, "gid": 0}), "proof/copy/head.json"), "leaves out a difference: users toor"),
    "a probe": (edited(lambda told: told["probes"][0].update(sha256="0" * 64), "proof/fidelity.json"), "probes: "),
    "a witness": (edited(lambda told: told["witnesses"][0].update(said="??5??????   /usr/sbin/nginx"), "proof/fidelity.json"), "witnesses: "),
    "a verdict": (edited(lambda told: told["witnesses"][0].update(verdict="explained"), "proof/fidelity.json"), "witnesses: "),
    "the record of the build": (another_record, "the record of what is the build's own is not the one"),
    "what the build added": (edited(lambda told: told["provenance"].update(origins="0" * 64), "image/image.json"), "the record of what is the build's own is not the one"),
    "the image's scan": (edited(lambda told: told["provenance"].update(scan_digest="0" * 64), "image/image.json"), "not built from the source's report"),
    "the image's disk": (edited(lambda told: told["files"][0].update(sha256="0" * 64), "image/image.json"), "leaves out a difference: image image.qcow2"),
    "the file that was booted": (edited(lambda told: told["proven"].update(image="0" * 64), "proof/fidelity.json"), "leaves out a difference: image image.qcow2"),
    "what was added": (edited(lambda told: told["additions"].clear(), "image/image.json"), "lacks what its plan adds"),
    "what the disk attested": (edited(lambda told: told["prefixes"].clear(), "proof/attested.json"), "leaves out a difference: files /var/log/syslog"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_what_does_not_follow_is_found_out_even_with_a_new_manifest(migration: Migration, tmp_path: Path, kind: str) -> None:
    forge, expected = FORGED[kind]
    forge(migration)
    with pytest.raises(Refuted) as caught:
        checked(migration.bundle(), tmp_path)
    assert any(expected in problem for problem in caught.value.problems), caught.value.problems


def repacked(bundle: Path, change: Callable[[Path], object], tmp_path: Path) -> Path:
    """The archive with other members under the same manifest."""
    folder, out = tmp_path / "members", tmp_path / "repacked.tar.gz"
    with tarfile.open(bundle) as tar:
        tar.extractall(folder, filter="data")
    change(folder)
    with tarfile.open(out, "w:gz") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                tar.add(path, str(path.relative_to(folder)))
    return out


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: (folder / "build.log").write_text("another story\n"), "build.log: not the file"),
        (lambda folder: (folder / "spec.json").unlink(), "spec.json: it is not in the archive"),
        (lambda folder: (folder / "extra").write_text("x"), "extra: the manifest does not know it"),
    ],
)
def test_every_member_is_the_one_that_the_manifest_names(migration: Migration, tmp_path: Path, change: Callable[[Path], object], expected: str) -> None:
    with pytest.raises(Refuted) as caught:
        checked(repacked(migration.bundle(), change, tmp_path), tmp_path)
    assert any(expected in problem for problem in caught.value.problems)


@pytest.mark.parametrize("change", [lambda folder: (folder / "manifest.json").unlink(), lambda folder: (folder / "manifest.json").write_text("{}")])
def test_what_is_no_bundle_is_refused(migration: Migration, tmp_path: Path, change: Callable[[Path], object]) -> None:
    with pytest.raises(HostileInput):
        checked(repacked(migration.bundle(), change, tmp_path), tmp_path)
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(HostileInput):
        checked(tmp_path / "text", tmp_path)
