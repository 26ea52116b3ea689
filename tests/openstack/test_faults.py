"""What goes wrong in a real cloud while an image is sent: each with words of its own, and nothing half-published."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.cutproxy import CutProxy
from support.openstack import Openstack
from support.planted import planted_image
from support.publishing import BASE, account, begin, shown
from support.service import Service
from support.tinydisk import offer

from builders.clouds import login
from builders.clouds.openstack import OpenstackCloud
from builders.errors import DiskFull
from scanner.errors import Unreachable
from scanner.progress import Silent

MIB = 1 << 20
PATIENCE = 120
"""Seconds; several logins and restarts of services fit in, on a busy machine too."""


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A file system of that size at `place`."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "forgelet-test", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def ended(service: Service, sent: dict[str, Any]) -> dict[str, Any]:
    service.until(lambda: service.job(sent["jobId"])["state"] not in ("queued", "running"), PATIENCE)
    job = service.job(sent["jobId"])
    # Whatever happened: a publication that is not done has no image.
    assert job["state"] == "done" or shown(service, sent)["cloudId"] == ""
    return job


def test_a_slow_keystone_is_called_slow(openstack: Openstack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "TIMEOUT", 0.5)
    slow = CutProxy(openstack.ports["keystone"])
    slow.delay = 2
    began: list[str] = []
    try:
        with pytest.raises(Unreachable, match="is too slow, it did not answer in time") as refused:
            OpenstackCloud(openstack.opened(keystoneUrl=f"http://127.0.0.1:{slow.port}/v3")).publish(offer(tmp_path / "image"), Silent(), began.append)
    finally:
        slow.close()
    assert refused.value.hint and began == []


def test_a_slow_glance_that_answers_in_time_has_the_image(openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    proxy.delay = 0.5
    cloud = OpenstackCloud(openstack.opened(glanceUrl=f"http://127.0.0.1:{proxy.port}"))
    sent = cloud.publish(offer(tmp_path / "image"), Silent(), lambda _: None)
    assert [one["status"] for one in openstack.images()] == ["active"]
    cloud.withdraw(sent.cloud_id)


def test_a_connection_that_is_closed_while_a_request_is_on_its_way_is_no_failure(openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    cloud = OpenstackCloud(openstack.opened(glanceUrl=f"http://127.0.0.1:{proxy.port}"))
    sent = cloud.publish(offer(tmp_path / "image"), Silent(), lambda _: None)
    proxy.cut_after, proxy.times = 1, 1
    cloud.withdraw(sent.cloud_id)
    assert (openstack.images(), proxy.cuts) == ([], 1)
    proxy.times = 2
    with pytest.raises(Unreachable):
        cloud.withdraw(sent.cloud_id)


def test_an_image_that_is_taken_away_while_it_is_saved(service: Service, openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    def kill() -> None:
        [image] = openstack.images()
        assert image["status"] == "saving"
        assert httpx.delete(f"{openstack.glance}/v2/images/{image['id']}", headers={"X-Auth-Token": openstack.token()}, trust_env=False).status_code == 204

    account(service, openstack, glanceUrl=f"http://127.0.0.1:{proxy.port}")
    image = planted_image(service, tmp_path / "tree", "raw")
    proxy.cut_after, proxy.times, proxy.watches, proxy.then = MIB, 1, True, kill
    # A second thread, which hears of it while the first takes the image in.
    with openstack.changed("glance", "DEFAULT", threads=2):
        job = ended(service, begin(service, image))
    assert (job["state"], job["code"], proxy.cuts) == ("failed", "cloud-refused", 1), job
    assert "gave the image up while it was saved" in job["error"] and job["hint"]


def test_a_cloud_whose_disk_is_full(service: Service, openstack: Openstack, tmp_path: Path) -> None:
    account(service, openstack)
    image = planted_image(service, tmp_path / "tree", "raw")
    with small_disk(openstack.state / "glance/images", "1m"):
        job = ended(service, begin(service, image))
        assert list((openstack.state / "glance/images").iterdir()) == []
    assert (job["state"], job["code"]) == ("failed", "cloud-refused"), job
    assert "has no room left for it" in job["error"] and "quota" not in job["error"]


def test_a_quota_that_is_full_is_called_so(service: Service, openstack: Openstack, tmp_path: Path) -> None:
    with openstack.changed("glance", "DEFAULT", "user_storage_quota = 1MB"):
        account(service, openstack)
        job = ended(service, begin(service, planted_image(service, tmp_path / "tree", "raw")))
    assert job["state"] == "failed" and "its quota does not hold it" in job["error"], job


def test_a_glance_that_dies_in_the_middle_has_nothing_of_it_when_it_is_back(service: Service, openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    def die() -> None:
        os.killpg(openstack.running["glance"].pid, signal.SIGKILL)
        openstack.running.pop("glance").wait()

    account(service, openstack, glanceUrl=f"http://127.0.0.1:{proxy.port}")
    image = planted_image(service, tmp_path / "tree", "raw")
    proxy.cut_after, proxy.times, proxy.then = 2 * MIB, 1, die
    try:
        job = ended(service, begin(service, image))
    finally:
        openstack.serve("glance")
    assert (job["state"], job["code"]) == ("failed", "unreachable"), job
    service.until(lambda: openstack.images() == [], PATIENCE)


def test_a_token_that_expires_in_the_middle_of_an_upload_is_renewed(service: Service, openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    with openstack.changed("keystone", "token", "expiration = 4"):
        account(service, openstack, glanceUrl=f"http://127.0.0.1:{proxy.port}")
        image = planted_image(service, tmp_path / "tree", "raw")
        proxy.cut_after, proxy.times, proxy.watches, proxy.then = MIB, 1, True, lambda: time.sleep(6)
        sent = begin(service, image)
        job = ended(service, sent)
        assert (job["state"], proxy.cuts) == ("done", 1), job
        assert [one["status"] for one in openstack.images()] == ["active"]
        assert service.http.delete(f"{BASE}/pimages/{sent['dbId']}").status_code == 204


def test_a_download_that_is_cut_on_the_way_back_goes_on(openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    cloud = OpenstackCloud(openstack.opened(glanceUrl=f"http://127.0.0.1:{proxy.port}"))
    given = offer(tmp_path / "image")
    sent = cloud.publish(given, Silent(), lambda _: None)
    proxy.cut_back, proxy.times = MIB, 2
    try:
        cloud.fetch(sent.cloud_id, tmp_path / "back", Silent())
        assert proxy.cuts == 2
        assert (tmp_path / "back").read_bytes() == given.file.read_bytes()
    finally:
        proxy.cut_back = None
        cloud.withdraw(sent.cloud_id)


def test_a_disk_of_this_machine_that_is_full(openstack: Openstack, tmp_path: Path) -> None:
    cloud = OpenstackCloud(openstack.opened())
    sent = cloud.publish(offer(tmp_path / "image"), Silent(), lambda _: None)
    place = tmp_path / "small"
    try:
        with small_disk(place, "1m"):
            with pytest.raises(DiskFull, match="is full") as refused:
                cloud.fetch(sent.cloud_id, place / "back", Silent())
            assert refused.value.hint and list(place.iterdir()) == []
    finally:
        cloud.withdraw(sent.cloud_id)
