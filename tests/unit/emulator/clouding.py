"""What tests of publications and deployments do again and again, over HTTP."""

from __future__ import annotations

from typing import Any

BASE = "/api/users/root"
XML = {"Accept": "application/xml", "Content-Type": "application/xml"}


def published(drive: Any, image: Any, **given: Any) -> Any:
    """Sent to its end."""
    body = {"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": "web", **given}
    answer = drive.http.post(f"/api/{image['uri']}/pimages", json=body)
    assert answer.status_code == 201, answer.text
    assert drive.service.queue.wait(answer.json()["jobId"], 10)
    return drive.http.get(f"{BASE}/pimages/{answer.json()['dbId']}").json()


def deployed(drive: Any, sent: Any, **given: Any) -> Any:
    answer = drive.http.post(f"{BASE}/pimages/{sent['dbId']}/deployments", json={"name": "web-1", "flavor": "small", **given})
    assert answer.status_code == 201, answer.text
    assert drive.service.queue.wait(answer.json()["jobId"], 10)
    return drive.http.get(f"{BASE}/deployments/{answer.json()['applicationId']}").json()
