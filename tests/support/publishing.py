"""Publishing through a running service, as tests drive it."""

from __future__ import annotations

from typing import Any

from support.openstack import Openstack
from support.service import Service

BASE = "/api/users/root"


def account(service: Service, openstack: Openstack, **fields: str) -> None:
    """The account `cloud`."""
    made = service.http.post(f"{BASE}/accounts", json=openstack.account(**{"keystoneProject": "demo", **fields}))
    assert made.status_code == 201, made.text


def begin(service: Service, image: dict[str, Any], **given: Any) -> dict[str, Any]:
    """A publication, as it is when it was asked for."""
    answer = service.http.post(f"/api/{image['uri']}/pimages", json={"credAccount": {"name": "cloud"}, "displayName": "web", **given})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def shown(service: Service, sent: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = service.http.get(f"{BASE}/pimages/{sent['dbId']}").json()
    return told
