"""Images on their way back from a cloud: kept a while, gone on with where they broke off, and nobody else's."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import pytest

from emulator.jobs import clouds
from emulator.resources.publications import fetched
from scanner.errors import Unreachable

from .clouding import BASE, published


def test_half_a_download_is_of_its_image_only_and_goes_with_it(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_off(self: Any, cloud_id: str, into: Any, progress: Any) -> None:
        into.parent.mkdir(exist_ok=True)
        into.with_name(f"{into.name}.partial").write_bytes(b"half of it")
        raise Unreachable("it broke off", hint="the same again")

    monkeypatch.setattr(type(cloud), "fetch", breaks_off)
    returns = drive.service.folders.returns
    names = []
    for _ in range(2):
        sent = published(drive, image)
        drive.error(drive.http.get(f"{BASE}/pimages/{sent['dbId']}/download"), 503)
        names += [file.name for file in returns.iterdir()]
        assert drive.http.delete(f"{BASE}/pimages/{sent['dbId']}").status_code == 204
        assert list(returns.iterdir()) == []
    assert len(set(names)) == 2, "another image under the same number of ours"


def test_what_a_killed_service_was_about_to_hand_out_goes_at_the_next_start(drive: Any) -> None:
    returns = drive.service.folders.returns
    returns.mkdir(exist_ok=True)
    for name in ("1-abc", "1-abc-0123", "2-def.partial"):
        (returns / name).touch()
    clouds.begin(drive.service.database, drive.service.folders)
    assert [file.name for file in returns.iterdir()] == ["2-def.partial"]


@pytest.fixture
def fetches(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which images were fetched out of the cloud."""
    found, real = [], type(cloud).fetch

    def fetch(self: Any, cloud_id: str, into: Any, progress: Any) -> None:
        found.append(cloud_id)
        real(self, cloud_id, into, progress)

    monkeypatch.setattr(type(cloud), "fetch", fetch)
    return found


def test_a_download_goes_on_without_another_fetch_out_of_the_cloud(drive: Any, cloud: Any, image: Any, fetches: list[str]) -> None:
    sent = published(drive, image)
    place, content = f"{BASE}/pimages/{sent['dbId']}/download", cloud.images[sent["cloudId"]][1]
    whole = drive.http.get(place)
    digest = hashlib.sha512(content)
    assert (whole.content, whole.headers["ETag"]) == (content, f'"{digest.hexdigest()}"')
    assert whole.headers["Repr-Digest"] == f"sha-512=:{base64.b64encode(digest.digest()).decode()}:"
    rest = drive.http.get(place, headers={"Range": "bytes=1000-", "If-Range": whole.headers["ETag"]})
    assert (rest.status_code, rest.content, rest.headers["Repr-Digest"]) == (206, content[1000:], whole.headers["Repr-Digest"])
    other = drive.http.get(place, headers={"Range": "bytes=1000-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, content)
    assert fetches == [sent["cloudId"]]
    folder = drive.service.folders.data / "fetched"
    assert len(list(folder.iterdir())) == 1
    assert drive.http.delete(f"{BASE}/pimages/{sent['dbId']}").status_code == 204
    assert list(folder.iterdir()) == []


def test_what_came_back_is_kept_for_a_while_and_not_more_than_some(drive: Any, cloud: Any, image: Any, fetches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = drive.service.folders.data / "fetched"
    monkeypatch.setattr(fetched, "KEPT", 2)
    places = [f"{BASE}/pimages/{published(drive, image, displayName=name)['dbId']}/download" for name in ("one", "two", "three")]
    for place in places:
        assert drive.http.get(place).status_code == 200
    assert len(list(folder.iterdir())) == 2
    (folder / "9-left.coming.partial").write_bytes(b"x")
    (folder / "9-left-link-1").write_bytes(b"x")
    for one in folder.iterdir():
        os.utime(one, (1, 1))
    fetched.sweep(folder)
    assert list(folder.iterdir()) == []
    assert drive.http.get(places[0]).status_code == 200


def test_what_broke_off_on_its_way_back_is_not_handed_out(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = published(drive, image)

    def breaks(self: Any, cloud_id: str, into: Any, progress: Any) -> None:
        into.write_bytes(b"half")
        raise Unreachable("gone", hint="x")

    with monkeypatch.context() as broken:
        broken.setattr(type(cloud), "fetch", breaks)
        drive.error(drive.http.get(f"{BASE}/pimages/{sent['dbId']}/download"), 503)
    assert drive.http.get(f"{BASE}/pimages/{sent['dbId']}/download").content == cloud.images[sent["cloudId"]][1]
