"""The two representations, over HTTP: who gets which, and errors of every kind."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from emulator.wire.query import parse
from scanner.errors import UserError

AS_XML = {"Accept": "application/xml"}
ERROR = "{http://www.usharesoft.com/uforge}uforgeError"


def said(answer: Any, status: int) -> dict[str, str]:
    """What the real client needs of an error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/xml"
    root = etree.fromstring(answer.content)
    assert root.tag == ERROR
    found = {one: root.findtext(one) for one in ("localizedErrorMsg/message", "requestMethod", "requestUri")}
    assert all(found.values()), found
    assert root.findtext("statusCode") == str(status)
    return found


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/xml", "application/xml"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/xml;q=0.5, application/json", "application/json"),
        ("text/html, application/xml", "application/xml"),
    ],
)
def test_accept_decides(drive: Any, accept: str, media: str) -> None:
    assert drive.http.get("/api/status", headers={"Accept": accept}).headers["content-type"] == media


def test_both_tell_the_same(drive: Any) -> None:
    drive.image()
    told = drive.http.get("/api/users/root/images").json()["images"]["image"][0]
    written = etree.fromstring(drive.http.get("/api/users/root/images", headers=AS_XML).content).find("images/image")
    assert {key: written.findtext(key) for key in ("name", "uri", "dbId")} == {"name": told["name"], "uri": told["uri"], "dbId": str(told["dbId"])}
    assert written.find("jobId") is None


def test_a_scan_of_anything_is_listed(drive: Any) -> None:
    drive.scan()
    with drive.service.database.write() as session:
        session.connection().exec_driver_sql("UPDATE scanned_instance SET distribution='Alpine Linux', version='3.20', arch='aarch64'")
    found = etree.fromstring(drive.http.get("/api/users/root/scannedinstances", headers=AS_XML).content).find("scannedInstances/scannedInstance")
    assert found.findtext("distribution/arch") == "noarch"
    assert found.findtext("distribution/version") == "3.20 (Alpine Linux, aarch64)"


def test_errors_of_every_kind(drive: Any) -> None:
    get = drive.http.get
    said(get("/api/nowhere", headers=AS_XML), 404)
    said(get("/elsewhere", headers=AS_XML), 404)
    said(get("/api/users/root/images/99", headers=AS_XML), 404)
    said(get("/api/users/alice/images", headers=AS_XML), 403)
    said(get("/api/status", headers=AS_XML, auth=("root", "no")), 401)
    said(drive.http.put("/api/status", headers=AS_XML), 405)
    said(get("/api/users/root/images/x", headers=AS_XML), 400)
    said(get("/api/users/root/images/" + "9" * 30, headers=AS_XML), 404)


def test_an_internal_fault_is_told_too(drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.resources.images.service.tell_all", lambda *_: 1 / 0)
    assert "ZeroDivision" not in said(drive.http.get("/api/users/root/images", headers=AS_XML), 500)["localizedErrorMsg/message"]


@pytest.mark.parametrize("path", ["/api//status", "//api/status/", "/api/status//"])
def test_slashes_too_many_do_not_matter(drive: Any, path: str) -> None:
    assert drive.http.get("http://testserver" + path).status_code == 200


def test_queries() -> None:
    found = parse("name=='my; name';version==1.0;targetFormat.name=='x'")
    assert found.clauses == (("name", "my; name"), ("version", "1.0"), ("targetFormat.name", "x"))
    assert found.keeps({"name": "my; name", "version": "1.0", "targetFormat": {"name": "x"}})
    assert not found.keeps({"name": "my; name", "version": "1.0"})
    assert parse("name==ng*x", wild=True).keeps({"name": "nginx"})
    assert not parse("name==ng*x").keeps({"name": "nginx"})
    assert parse(None).keeps({})
    for wrong in ("name=x", "==x", "name=='x", "a==b;;"):
        with pytest.raises(UserError):
            parse(wrong)
