"""The whole lab, saved and brought back, over HTTP."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
import zstandard
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from support.fuzz import tries

from emulator.app import make_app, make_service
from emulator.jobs import bundles, templates
from emulator.jobs.inprocess import InProcessQueue
from emulator.routing import operations
from emulator.settings import Settings
from emulator.wire import answer
from scanner.host import chance, clock

SNAPSHOTS = "/_forgelet/snapshots"
SCANS = "/api/users/root/scannedinstances"
MIGRATIONS = "/api/users/root/migrations"
ACCOUNT = {"targetPlatform": {"name": "openstack"}, "keystoneUrl": "http://127.0.0.1:1", "keystoneVersion": "v3", "glanceUrl": "http://127.0.0.1:1", "login": "x", "password": "y"}
NO_READS = ("/_forgelet/health", "/_forgelet/journal", "/_forgelet/snapshots", "/_forgelet/reset", "/_forgelet/capabilities", "/_forgelet/targets", "/_forgelet/cache", "/resources", "/_forgelet/faults/points")
"""What tells of the machine, of the journal and of snapshots themselves, or what makes something."""
PASSWORDS = ("secret", "other")
NOT_THE_LABS = re.compile(r'"timestamp":"[^"]*"|"real":"[^"]*"|"now":"[^"]*"(?=.*"set":false)')
"""When a refusal was written, and what time it is for the machine."""


@cache
def reads() -> list[str]:
    """Every read that the service has, for two numbers of each parameter; the first of each thing is of the first of what it is in."""
    found: list[str] = []
    for one in operations().all:
        if one.method == "GET" and not one.path.startswith(NO_READS) and not one.name.startswith("agents"):
            names = [name for name in re.findall(r"\{(\w+)[^}]*\}", one.path) if name not in ("uid", "login")]
            for values in itertools.combinations_with_replacement("12", len(names)):
                path = one.path.replace("{uid}", "root").replace("{login}", "root")
                for name, value in zip(names, values, strict=True):
                    path = re.sub(rf"\{{{name}[^}}]*\}}", value, path, count=1)
                found.append(path)
    return list(dict.fromkeys(found))


@cache
def others_reads() -> list[str]:
    """Those of what belongs to a user, who has one of each at most."""
    mine = [path for path in reads() if path.startswith(("/api/users/root", "/_forgelet/users/root")) and not re.search(r"/2(/|$)", path)]
    return [*mine, "/_forgelet/seeds", "/api/status"]


def answers(http: TestClient) -> dict[tuple[str, str, str], tuple[int, str]]:
    """What each of them answers, to each user with each password that he may have."""
    asked = [("root", "forgelet", path) for path in reads()]
    for login in ("u1", "u2"):
        for password in PASSWORDS:
            if http.get(f"/api/users/{login}", auth=(login, password)).status_code == 200:
                asked += [(login, password, path.replace("users/root", f"users/{login}")) for path in others_reads()]
    assert http.portal is not None
    return http.portal.call(_all, http.app, asked)


async def _all(app: Any, asked: list[tuple[str, str, str]]) -> dict[tuple[str, str, str], tuple[int, str]]:
    """Asked of the application itself: a client costs more than the answers do, and there are thousands."""
    return {one: await _answer(app, *one) for one in asked}


async def _answer(app: Any, login: str, password: str, path: str) -> tuple[int, str]:
    told: list[Any] = []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        # Who streams listens for a client that goes away; this one stays.
        return next(asked, None) or await anyio.sleep_forever()

    async def send(message: Any) -> None:
        told.append(message)

    headers = [(b"authorization", b"Basic " + base64.b64encode(f"{login}:{password}".encode())), (b"accept", b"application/json")]
    place = {"scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("testclient", 1), "server": ("testserver", 80)}
    await app({"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "headers": headers, "extensions": {}, **place}, receive, send)
    return told[0]["status"], NOT_THE_LABS.sub("", b"".join(one.get("body", b"") for one in told[1:]).decode(errors="replace"))


class Lab:
    """What can be done to it, by a number each. Whatever is refused is no matter here."""

    def __init__(self, drive: Any) -> None:
        self.drive, self.http = drive, drive.http

    def settled(self, answer: Any) -> None:
        told = answer.json() if answer.content and answer.status_code < 300 else {}
        for one in told.get("images", {}).get("image", [told]):
            if "jobId" in one:
                assert self.drive.service.queue.wait(one["jobId"], 10)

    def scan(self, n: int) -> None:
        self.settled(self.http.post(SCANS, json={"name": f"s{n}", "target": "docker:web", "overlay": True}))

    def image(self, n: int) -> None:
        self.settled(self.drive.build({"uri": f"users/root/scannedinstances/{n}/scans/{n}"}))

    def verify(self, n: int) -> None:
        self.settled(self.http.post(f"/api/users/root/images/{n}/verifications", json={}))

    def publish(self, n: int) -> None:
        self.settled(self.http.post(f"{SCANS}/1/scans/1/images/{n}/pimages", json={"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": f"p{n}"}))

    def _upload(self, place: str, member: str, document: dict[str, Any]) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, data in {"l.txt": b"licence", member: yaml.safe_dump(document).encode()}.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        uri = self.http.post(f"/api/users/root/{place}").json()["uri"]
        self.http.post(f"/api/{uri}/uploads", content=packed.getvalue(), headers={"Content-Type": "application/xml"})
        self.settled(self.http.get(f"/api/{uri}"))

    def template(self, n: int) -> None:
        stack = {"name": "plain", "version": f"{n}.0", "os": {"name": "Debian", "version": "12", "arch": "x86_64"}}
        self._upload("imports", "template.yml", {"stack": stack, "builders": None})

    def bundle(self, n: int) -> None:
        self._upload("bundleimports", "bundle.yml", {"name": "tools", "version": f"{n}.0", "description": "x", "files": [{"name": "l.txt", "source": "l.txt"}]})

    def migration(self, n: int) -> None:
        builder = {"type": "openstack", "installation": {"diskSize": 2000}, "hardwareSettings": {"memory": 1024}, "account": "local", "imageName": "moved"}
        made = self.http.post(f"{MIGRATIONS}/launches", json={"name": f"m{n}", "target": "docker:web", "builder": builder}).json()
        deadline = time.monotonic() + 30
        while self.http.get(f"{MIGRATIONS}/{made['dbId']}").json()["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def account(self, n: int) -> None:
        self.http.post("/api/users/root/accounts", json={**ACCOUNT, "name": f"a{n}"})

    def user(self, n: int) -> None:
        self.http.post("/_forgelet/users", json={"login": f"u{n}", "password": "secret"})

    def users_scan(self, n: int) -> None:
        self.settled(self.http.post(f"/api/users/u{n}/scannedinstances", json={"name": "his", "target": "docker:web"}, auth=(f"u{n}", "secret")))

    def password(self, n: int) -> None:
        self.http.put(f"/_forgelet/users/u{n}/password", json={"password": "other"})

    def users_reset(self, n: int) -> None:
        self.http.post("/_forgelet/reset", params={"user": f"u{n}"})

    def delete_user(self, n: int) -> None:
        self.http.delete(f"/_forgelet/users/u{n}")

    def key(self, n: int) -> None:
        self.http.post("/_forgelet/users/root/keys")

    def quota(self, n: int) -> None:
        self.http.put("/_forgelet/users/root/quotas", json={"type": "scan", "limit": 20 + n})

    def fault(self, n: int) -> None:
        self.http.post("/_forgelet/faults", json={"stage": "export.pack", "times": n})

    def clock(self, n: int) -> None:
        self.http.put("/_forgelet/clock", json={"at": f"20{n}1-05-01T12:00:00Z", "rate": 0})

    def clock_off(self, n: int) -> None:
        self.http.delete("/_forgelet/clock")

    def ids(self, n: int) -> None:
        self.http.put("/_forgelet/ids", json={"seed": n})

    def draw(self, n: int) -> None:
        for _ in range(n):
            chance.identifier()

    def seed(self, n: int) -> None:
        self.http.put(f"/_forgelet/seeds/s{n}", json={"text": f"users:\n- {{login: u{n}, password: secret}}"})

    def delete_seed(self, n: int) -> None:
        self.http.delete(f"/_forgelet/seeds/s{n}")

    def delete_template(self, n: int) -> None:
        self.http.delete(f"/api/users/root/appliances/{n}")

    def delete_bundle(self, n: int) -> None:
        self.http.delete(f"/api/users/root/mysoftware/{n}")

    def delete_migration(self, n: int) -> None:
        self.http.delete(f"{MIGRATIONS}/{n}")

    def delete_image(self, n: int) -> None:
        self.http.delete(f"/api/users/root/images/{n}")

    def delete_scan(self, n: int) -> None:
        self.http.delete(f"{SCANS}/{n}")

    def delete_account(self, n: int) -> None:
        for one in self.http.get("/api/users/root/accounts").json()["credAccounts"]["credAccount"]:
            if one["name"] == f"a{n}":
                self.http.delete(f"/api/{one['uri']}")

    def reset(self, n: int) -> None:
        self.http.post("/_forgelet/reset")


DEEDS = [name for name in vars(Lab) if not name.startswith("_") and name != "settled"]
deeds = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(1, 2)), max_size=8)


@pytest.fixture
def whole(drive: Any, tasks: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A service that has templates and bundles too."""
    # That every answer is whole XML too is looked at by everybody else.
    monkeypatch.setattr(answer, "checked", False)
    drive.service.queue = InProcessQueue(drive.service.ledger, drive.service.folders, {**tasks.table(), "import": templates.read, "bundle-import": bundles.read})
    drive.service.queue.start()
    yield drive
    clock.put(None)
    chance.seed(None)


def test_whatever_happens_after_a_save_every_read_answers_as_then_once_it_is_loaded(whole: Any) -> None:
    drive, lab = whole, Lab(whole)
    published = 0

    @tries(5)
    @given(before=deeds, after=deeds)
    def one(before: Any, after: Any) -> None:
        nonlocal published
        lab.reset(0)
        for number in (1, 2):
            lab.users_reset(number)
            lab.delete_user(number)
            lab.delete_seed(number)
        for name, number in [("scan", 1), ("image", 1), ("publish", 1), *before]:
            getattr(lab, name)(number)
        assert drive.http.post(f"{SNAPSHOTS}/then", params={"replace": True}).status_code == 201
        then = answers(drive.http)
        for name, number in after:
            getattr(lab, name)(number)
        told = drive.http.post(f"{SNAPSHOTS}/then/load")
        assert told.status_code == 200, told.text
        now = answers(drive.http)
        assert {path: now[path] for path in now if now[path] != then[path]} == {}
        assert sum(status == 200 for status, _ in then.values()) > 20
        published += '"imageUri"' in then["root", "forgelet", "/api/users/root/pimages"][1]

    one()
    assert published >= 2, "what is kept of nothing proves little"


def test_every_deed_does_something(whole: Any) -> None:
    """A deed that is always refused would prove nothing."""
    lab, files = Lab(whole), whole.service.folders

    def kept() -> list[Any]:
        with closing(sqlite3.connect(files.database)) as database:
            return [list(database.iterdump()), *(file.read_bytes() for file in sorted([*files.data.glob("*.json"), *files.seeds.iterdir()]))]

    for name in DEEDS:
        before = kept()
        getattr(lab, name)(1)
        assert kept() != before, name


def test_the_clock_goes_on_from_the_moment_of_the_save_and_numbers_from_the_next_one(drive: Any) -> None:
    drive.http.put("/_forgelet/clock", json={"at": "2030-05-01T12:00:00Z", "rate": 60})
    drive.http.put("/_forgelet/ids", json={"seed": "lab"})
    chance.identifier()
    drive.http.post(f"{SNAPSHOTS}/then")
    next_one = chance.identifier()
    drive.http.put("/_forgelet/clock", json={"at": "2040-01-01T00:00:00Z"})
    drive.http.put("/_forgelet/ids", json={"seed": "elsewhere"})
    drive.http.post(f"{SNAPSHOTS}/then/load")
    told = drive.http.get("/_forgelet/clock").json()
    assert (told["now"][:11], told["rate"]) == ("2030-05-01T", 60)
    assert chance.identifier() == next_one


def test_one_of_the_first_format_loads_and_leaves_time_numbers_and_seeds_as_they_are(drive: Any) -> None:
    drive.scan()
    drive.http.post(f"{SNAPSHOTS}/old")
    folder = drive.service.folders.snapshots / "old"
    (folder / "determinism.json").unlink()
    (folder / "files/seeds").rmdir()
    (folder / "snapshot.json").write_text(json.dumps({**json.loads((folder / "snapshot.json").read_bytes()), "format": 1}))
    drive.http.post("/_forgelet/reset")
    drive.http.put("/_forgelet/clock", json={"at": "2030-05-01T12:00:00Z", "rate": 0})
    drive.http.put("/_forgelet/ids", json={"seed": "lab"})
    drive.http.put("/_forgelet/seeds/here", json={"text": "users: []"})
    assert drive.http.post(f"{SNAPSHOTS}/old/load").status_code == 200
    assert drive.http.get(f"{SCANS}/1/scans/1").status_code == 200
    assert drive.http.get("/_forgelet/clock").json()["now"] == "2030-05-01T12:00:00.000Z"
    assert drive.http.get("/_forgelet/ids").json()["seed"] == "lab"
    assert drive.http.get("/_forgelet/seeds").json() == {"seeds": {"seed": [{"name": "here"}]}}


def test_what_says_how_time_was_set_must_be_readable_before_anything_changes(filled: Any) -> None:
    filled.http.post(f"{SNAPSHOTS}/one")
    (filled.service.folders.snapshots / "one/determinism.json").write_text('{"clock": 4}')
    filled.error(filled.http.post(f"{SNAPSHOTS}/one/load"), 400)
    assert filled.http.get("/api/users/root/images/1").status_code == 200


def test_the_reads_are_all_there_are() -> None:
    assert len(reads()) > 80
    assert any(path.endswith("/scans/2/report") for path in reads())


@pytest.fixture
def filled(drive: Any) -> Any:
    drive.image()
    drive.http.post("/api/users/root/accounts", json={**ACCOUNT, "name": "there"})
    return drive


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[TestClient]:
    """Another machine, with another key for its secrets."""
    other = make_service(Settings(data=tmp_path / "elsewhere"))
    with TestClient(make_app(other), raise_server_exceptions=False) as http:
        http.auth = ("root", "forgelet")
        http.post("/api/users/root/accounts", json={**ACCOUNT, "name": "its own"})
        yield http


def test_a_snapshot_is_readable_on_the_disk(filled: Any) -> None:
    made = filled.http.post(f"{SNAPSHOTS}/one").json()
    folder = filled.service.folders.snapshots / "one"
    assert json.loads((folder / "snapshot.json").read_bytes()) == made
    (scan,) = json.loads((folder / "tables/scan.json").read_bytes())
    assert scan["name"] == "web Scan #1"
    assert (folder / "files/scans/1/head.json").is_file()
    assert made["rows"]["image"] == 1
    assert folder.stat().st_mode & 0o077 == 0


def test_it_goes_to_another_machine_secrets_included(filled: Any, elsewhere: TestClient) -> None:
    filled.http.post(f"{SNAPSHOTS}/one")
    packed = filled.http.get(f"{SNAPSHOTS}/one/archive")
    assert packed.status_code == 200
    assert elsewhere.post(SNAPSHOTS, params={"name": "two"}, content=packed.content).status_code == 201
    assert elsewhere.post(f"{SNAPSHOTS}/two/load").status_code == 200
    wanted = ("/images", "/images/1", "/accounts", "/accounts/2", "/scans/1/report", "/scans/1/files")
    same = {path: answer.text for path in reads() if path.endswith(wanted) for answer in [filled.http.get(path)] if answer.status_code == 200}
    assert len(same) > 6
    here = elsewhere.app.state.service  # type: ignore[attr-defined]
    # Where an image lies is told too.
    moved = {path: text.replace(str(filled.service.folders.data), str(here.folders.data)) for path, text in same.items()}
    assert {path: elsewhere.get(path).text for path in same} == moved
    from emulator.resources.accounts import service as accounts
    from emulator.resources.accounts.tables import CloudAccount

    with here.database.read() as session:
        assert accounts.secrets(here, session.get_one(CloudAccount, 2))["password"] == "y"
    assert not [file for file in here.folders.snapshots.iterdir() if file.name.startswith(".")]


def test_numbers_go_on_where_they_were(filled: Any) -> None:
    filled.scan("second")
    filled.http.delete(f"{SCANS}/2")
    filled.http.post(f"{SNAPSHOTS}/one")
    filled.http.post("/_forgelet/reset")
    filled.http.post(f"{SNAPSHOTS}/one/load")
    assert filled.scan("third")["dbId"] == 3


def test_a_lab_in_which_a_job_runs_is_not_saved(filled: Any, tasks: Any) -> None:
    tasks.gate.clear()
    running = filled.http.post(SCANS, json={"name": "running", "target": "docker:web"}).json()
    told = filled.error(filled.http.post(f"{SNAPSHOTS}/one"), 409)
    assert f"{running['jobId']} (scan)" in told["localizedErrorMsg"]["message"]
    tasks.gate.set()
    assert filled.service.queue.wait(running["jobId"], 10)
    assert filled.http.get(SNAPSHOTS).json() == {"snapshots": {"snapshot": []}}
    assert filled.http.post(f"{SNAPSHOTS}/one").status_code == 201


def test_a_job_that_runs_when_it_is_loaded_is_ended(filled: Any, tasks: Any) -> None:
    filled.http.post(f"{SNAPSHOTS}/one")
    tasks.gate.clear()
    filled.http.post(SCANS, json={"name": "running", "target": "docker:web"})
    assert filled.http.post(f"{SNAPSHOTS}/one/load").status_code == 200
    tasks.gate.set()
    assert [job["dbId"] for job in filled.http.get("/_forgelet/jobs").json()["jobs"]["job"]] == [1, 2]


def test_an_instance_whose_disk_is_elsewhere_refuses_the_save_with_the_reason(filled: Any) -> None:
    sent = filled.http.post(f"{SCANS}/1/scans/1/images/1/pimages", json={"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": "p"}).json()
    assert filled.service.queue.wait(sent["jobId"], 10)
    made = filled.http.post(f"/api/users/root/pimages/{sent['dbId']}/deployments", json={"name": "far-away", "flavor": "small"})
    assert made.status_code == 201, made.text
    assert filled.service.queue.wait(made.json()["jobId"], 10)
    told = filled.error(filled.http.post(f"{SNAPSHOTS}/one"), 409)
    assert "far-away" in told["problems"][0]
    assert "forgelet deploy terminate" in told["hint"]


def test_a_name_is_taken_once_and_gone_when_it_is_deleted(filled: Any) -> None:
    assert filled.http.post(f"{SNAPSHOTS}/one").status_code == 201
    filled.error(filled.http.post(f"{SNAPSHOTS}/one"), 409)
    assert filled.http.post(f"{SNAPSHOTS}/one", params={"replace": True}).status_code == 201
    assert [one["name"] for one in filled.http.get(SNAPSHOTS).json()["snapshots"]["snapshot"]] == ["one"]
    assert filled.http.delete(f"{SNAPSHOTS}/one").status_code == 204
    filled.error(filled.http.get(f"{SNAPSHOTS}/one"), 404)
    filled.error(filled.http.post(f"{SNAPSHOTS}/one/load"), 404)
    filled.error(filled.http.post(f"{SNAPSHOTS}/.hidden"), 400)
    assert list(filled.service.folders.snapshots.iterdir()) == []


def test_it_is_for_administrators(filled: Any) -> None:
    filled.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    filled.error(filled.http.get(SNAPSHOTS, auth=("alice", "secret")), 403)
    filled.error(filled.http.post(f"{SNAPSHOTS}/one", auth=("alice", "secret")), 403)


def packed(*members: tuple[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return zstandard.compress(raw.getvalue())


def escaping() -> bytes:
    return packed(("../outside", b"x"))


@pytest.mark.parametrize(
    ("made", "status"),
    [(lambda: b"no archive", 422), (lambda: packed(("x", b"")), 422), (escaping, 422), (lambda: packed(("snapshot.json", b"{}")), 400)],
)
def test_what_is_no_snapshot_is_refused_and_leaves_nothing(filled: Any, made: Callable[[], bytes], status: int) -> None:
    filled.error(filled.http.post(SNAPSHOTS, content=made()), status)
    assert list(filled.service.folders.snapshots.iterdir()) == []
    assert not (filled.service.folders.data / "outside").exists()


@pytest.mark.parametrize(("field", "value", "words"), [("format", 3, "format 3"), ("revision", "0009", "revision 0009")])
def test_one_of_another_version_is_refused_before_anything_changes(filled: Any, field: str, value: Any, words: str) -> None:
    filled.http.post(f"{SNAPSHOTS}/one")
    file = filled.service.folders.snapshots / "one/snapshot.json"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), field: value}))
    told = filled.error(filled.http.post(f"{SNAPSHOTS}/one/load"), 400)
    assert words in told["localizedErrorMsg"]["message"]
    assert filled.http.get("/api/users/root/images/1").status_code == 200


def test_rows_that_do_not_fit_are_named_before_anything_changes(filled: Any) -> None:
    filled.http.post(f"{SNAPSHOTS}/one")
    tables = filled.service.folders.snapshots / "one/tables"
    (tables / "dream.json").write_text("[]")
    (tables / "scan.json").write_text('[{"id": 1}]')
    (tables / "image.json").unlink()
    told = filled.error(filled.http.post(f"{SNAPSHOTS}/one/load"), 400)
    assert told["problems"] == ["dream: there is no such table", "image: its rows are missing", "scan: row 0 has other columns"]
    assert filled.http.get("/api/users/root/images/1").status_code == 200
