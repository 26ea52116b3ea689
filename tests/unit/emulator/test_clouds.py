"""What needs a cloud: listed, refused with the reason, and never half done."""

from __future__ import annotations

from typing import Any

import pytest

BASE = "/api/users/root"


@pytest.mark.parametrize(("name", "item"), [("pimages", "publishImages"), ("deployments", "deployments"), ("migrations", "migrations")])
def test_lists_are_there_and_empty_in_both_representations(drive: Any, name: str, item: str) -> None:
    assert list(drive.http.get(f"{BASE}/{name}").json()[item].values()) == [[]]
    told = drive.http.get(f"{BASE}/{name}", headers={"Accept": "application/xml"})
    assert f"<{item}></{item}>" in told.text or f"<{item}/>" in told.text


def test_a_publication_is_refused_with_the_reason(drive: Any) -> None:
    image = drive.image()
    told = drive.error(drive.http.post(f"/api/{image['uri']}/pimages", json={"xsiType": "PublishImageOpenStack", "displayName": "x"}), 501)
    assert "nothing was sent" in told["localizedErrorMsg"]["message"]
    assert drive.http.get(f"{BASE}/pimages").json() == {"publishImages": {"publishImage": []}}


def test_a_migration_is_refused_with_the_reason(drive: Any) -> None:
    told = drive.error(drive.http.post(f"{BASE}/migrations", json={"name": "m"}), 501)
    assert "nothing was started" in told["localizedErrorMsg"]["message"]
    assert drive.service.ledger.jobs() == []


def test_what_is_about_no_publication_deployment_or_migration_is_not_found(drive: Any) -> None:
    image = drive.image()
    of_image = f"{image['uri']}/pimages/1".removeprefix("users/root")
    for method, path in (
        ("GET", f"{of_image}/status"),
        ("DELETE", f"{of_image}/cancel"),
        ("GET", f"{of_image}/accounts/1/resources"),
        ("POST", f"{of_image}/deploys"),
        ("POST", "/scannedinstances/1/scans/1/images/9/pimages"),
        ("GET", "/deployments/abc"),
        ("GET", "/deployments/abc/status"),
        ("DELETE", "/deployments/abc"),
        ("GET", "/migrations/1"),
        ("DELETE", "/migrations/1"),
    ):
        drive.error(drive.http.request(method, f"{BASE}{path}", json={} if method == "POST" else None), 404)
