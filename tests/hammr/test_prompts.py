"""Commands that ask before they take something away: what is said no to stays; and how a deployment is ended, with and without Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.hammr import Hammr
from support.planted import planted_image
from support.service import Service, until

pytestmark = pytest.mark.hammr

BASE = "/api/users/root"
ACCOUNT = {"xsiType": "CredAccountDocker", "name": "mine", "endpointUrl": "http://d", "login": "l", "password": "p", "targetPlatform": {"name": "Docker"}}
BUILDER = {"type": "openstack", "installation": {"diskSize": 2000}, "hardwareSettings": {"memory": 1024}, "account": "local", "imageName": "moved", "publicImage": "no"}
Deployed = Callable[[], dict[str, Any]]


def account(service: Service, _tree: Path) -> int:
    answer = service.http.post(f"{BASE}/accounts", json=ACCOUNT)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["dbId"])


def migration(service: Service, tree: Path) -> int:
    """One that failed at its first stage."""
    service.fault("scan.inventory", "fail")
    answer = service.http.post(f"{BASE}/migrations/launches", json={"name": "moved", "target": f"directory:{tree}", "builder": BUILDER})
    assert answer.status_code == 201, answer.text
    number = int(answer.json()["dbId"])
    until(lambda: service.http.get(f"{BASE}/migrations/{number}").json()["state"] == "failed")
    return number


@pytest.mark.parametrize(("noun", "make"), [("account", account), ("migration", migration)])
def test_delete_asks(hammr: Hammr, service: Service, tmp_path: Path, noun: str, make: Callable[[Service, Path], int]) -> None:
    number = make(service, tmp_path)
    words, path = (noun, "delete", "--id", str(number)), f"{BASE}/{noun}s/{number}"
    assert f"Do you really want to delete {noun} with id {number}" in hammr(*words, typed="n\n").text
    assert service.http.get(path).status_code == 200
    assert f"{noun.capitalize()} deleted" in hammr(*words, typed="y\n").text
    assert service.http.get(path).status_code == 404


@pytest.fixture(scope="module")
def publication(service: Service, tmp_path_factory: pytest.TempPathFactory) -> int:
    image = planted_image(service, tmp_path_factory.mktemp("planted") / "tree", "qcow2", "OpenStack QCOW2")
    body = {"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": "web"}
    sent = service.http.post(f"/api/{image['uri']}/pimages", json=body).json()
    assert service.ended(sent["jobId"])["state"] == "done"
    return int(sent["dbId"])


@pytest.fixture
def deployed(service: Service, publication: int) -> Deployed:
    """Makes a deployment whose job stands still, so that no machine is made."""

    def made() -> dict[str, Any]:
        service.fault("provision.place", "hang")
        told: dict[str, Any] = service.http.post(f"{BASE}/pimages/{publication}/deployments", json={"name": "web-1", "flavor": "f1.tiny"}).json()
        service.in_stage(told["jobId"], "provision.place")
        return told

    return made


def test_terminate_asks_nothing_with_f(hammr: Hammr, service: Service, deployed: Deployed) -> None:
    one = deployed()
    assert "Deployment terminated" in hammr("deploy", "terminate", "--id", one["applicationId"], "-f").text
    assert service.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}
    assert service.ended(one["jobId"])["state"] == "cancelled"


def test_ctrl_c_while_it_waits_for_the_end_does_not_hold_the_end_up(hammr: Hammr, service: Service, deployed: Deployed) -> None:
    """The service ends the instance before it answers; the list, for which the client asks until it is gone, is held back."""
    one = deployed()
    slow = service.http.post("/_forgelet/faults", json={"operation": "GET /users/{uid}/deployments", "action": "slow", "delay": 20})
    assert slow.status_code == 201, slow.text
    said = hammr.interrupted(
        ("deploy", "terminate", "--id", one["applicationId"], "--force"),
        lambda: service.http.get(f"/_forgelet/faults/{slow.json()['dbId']}").json()["hits"],
    )
    assert "Terminating the deployment" in said.text and "Deployment terminated" not in said.text
    assert service.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}
    assert service.ended(one["jobId"])["state"] == "cancelled"
