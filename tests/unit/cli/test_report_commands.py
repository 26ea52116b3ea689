"""`forgelet scan compare`, `explain`, and the parts of a report."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
import yaml

SCANS = [{"dbId": 1, "name": "web Scan #1", "created": "2026-01-01", "digest": "a" * 64}, {"dbId": 2, "name": "web Scan #2", "created": "2026-01-02", "digest": "b" * 64}]
CHANGED = {"path": "/etc/<b>\udcff", "change": "changed", "fields": ["mode", "sha256"], "values": [{"mode": "0644", "sha256": "1" * 64}, {"mode": "0600", "sha256": "2" * 64}], "diff": "--- before\n+++ after\n@@ -1 +1 @@\n-<old>\n+new"}
ADDED = {"name": "nginx:amd64", "change": "added", "fields": ["presence"], "values": [None, {"version": "1.22"}]}
FOUND = {"scans": {"scan": SCANS}, "packages": [ADDED], "files": [CHANGED], "users": [], "services": [], "counts": {"packages": {"added": 1}, "files": {"changed": 1}, "users": {}, "services": {}}, "equal": False}
EQUAL = {**FOUND, "packages": [], "files": [], "counts": {"packages": {}, "files": {}, "users": {}, "services": {}}, "equal": True}
LIST = {"scannedInstances": {"scannedInstance": [{"scans": {"scan": [{"dbId": 149, "uri": "users/root/scannedinstances/133/scans/149", "status": {"complete": True}}]}}]}}
BELOW = "scannedinstances/133/scans/149"


@pytest.mark.parametrize("shape", ["table", "json", "html"])
def test_the_exit_code_says_whether_scans_are_equal(fake: Any, forgelet: Any, shape: str) -> None:
    fake.mine("GET", "scancomparison", [FOUND, EQUAL])
    assert [forgelet("scan", "compare", "--id", "1", "--id", "2", "-o", shape).code for _ in range(2)] == [4, 0]


def test_an_unknown_scope_is_the_users_mistake(fake: Any, forgelet: Any) -> None:
    assert forgelet("scan", "compare", "--id", "1", "--id", "2", "--scope", "colours").code == 1
    assert fake.asked == []


def test_the_table_names_each_difference_and_shows_the_text(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scancomparison", FOUND)
    out = forgelet("scan", "compare", "--id", "1", "--id", "2").out
    assert "| nginx:amd64 | added  | presence | - | 1.22 |" in out
    assert "mode, content" in out and "0644, 111111111111" in out
    assert "-<old>\n+new" in out
    assert "users: equal" in out
    assert "/etc/<b>\\udcff" in out


def test_json_is_what_the_service_said(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scancomparison", FOUND)
    result = forgelet("scan", "compare", "--id", "1", "--id", "2", "-o", "json")
    assert result.out.isascii()
    assert json.loads(result.out) == FOUND


class Page(HTMLParser):
    """Tags that fetch, and all that is text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.fetching: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetching += [tag for name, _ in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_escapes_names(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scancomparison", FOUND)
    page = Page(forgelet("scan", "compare", "--id", "1", "--id", "2", "-o", "html").out)
    assert page.fetching == [] and not {"b", "old", "script", "link"} & page.tags
    assert "/etc/<b>\\udcff" in page.text
    assert "-<old>" in page.text and "The scans differ" in page.text


def test_of_three_scans_the_outliers_are_shown(fake: Any, forgelet: Any) -> None:
    item = {"path": "/a", "change": "changed", "fields": ["mode"], "values": [{"mode": "0644"}] * 3, "outliers": [2]}
    split = {**item, "path": "/b", "outliers": None}
    three = {**EQUAL, "scans": {"scan": [*SCANS, {**SCANS[0], "dbId": 3}]}, "files": [item, split], "counts": {"files": {"changed": 2}}, "equal": False}
    fake.mine("GET", "scancomparison", three)
    out = forgelet("scan", "compare", "--id", "1", "--id", "2", "--id", "3").out
    assert "Outliers" in out and "no majority" in out
    assert "no majority" in Page(forgelet("scan", "compare", "--id", "1", "--id", "2", "--id", "3", "-o", "html").out).text


def test_a_path_is_asked_for_by_its_bytes(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    fake.mine("GET", f"{BELOW}/explanation", {"path": "/odd\udcff", "state": "unmanaged", "reason": "not-in-any-package", "rule": "No installed package owns it.", "package": None, "actual": {"mode": "0644"}, "expected": None, "build": {"action": "restore", "why": "it is in the overlay", "rule": None}})
    result = forgelet("scan", "explain", "--id", "149", "/odd\udcff")
    assert result.code == 0
    assert "/odd\\udcff" in result.out and "restore: it is in the overlay" in result.out
    assert fake.asked[-1] == (f"GET /api/users/root/{BELOW}/explanation", {"path": "/odd\ufffd"})


def test_what_wrote_a_path_of_an_image_is_told(fake: Any, forgelet: Any) -> None:
    told = {"path": "/usr/bin/cloud", "origin": {"by": "package", "what": "cloud", "why": "it boots with it", "rule": "added-package"}, "source": None}
    fake.mine("GET", "images/3/explanation", told)
    result = forgelet("image", "explain", "--id", "3", "/usr/bin/cloud")
    assert "package: cloud" in result.out and "it boots with it (rule added-package)" in result.out and "not there" in result.out
    assert fake.asked[-1][1] == {"path": "/usr/bin/cloud"}
    assert json.loads(forgelet("image", "explain", "--id", "3", "/usr/bin/cloud", "-o", "json").out) == told


def test_every_part_of_a_report_can_be_yaml(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    rows = [{"name": "a", "version": "1"}]
    fake.mine("GET", f"{BELOW}/packages", {"packages": {"package": rows}})
    assert yaml.safe_load(forgelet("scan", "packages", "--id", "149", "-o", "yaml").out) == {"packages": {"package": rows}}
    fake.mine("GET", f"{BELOW}/files", '{"path":"/","sha256":null}\n{"path":"/a: b"}\n')
    assert yaml.safe_load(forgelet("scan", "files", "--id", "149", "-o", "yaml").out) == [{"path": "/", "sha256": None}, {"path": "/a: b"}]


def test_ndjson_is_a_row_a_line(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    rows = [{"name": "a", "version": "1"}, {"name": "b", "version": "2"}]
    fake.mine("GET", f"{BELOW}/packages", {"packages": {"package": rows}})
    fake.mine("GET", f"{BELOW}/files", '{"path":"/"}\n{"path":"/odd\\udcff"}\n')
    assert [json.loads(line) for line in forgelet("scan", "packages", "--id", "149", "-o", "ndjson").out.splitlines()] == rows
    assert [json.loads(line)["path"] for line in forgelet("scan", "files", "--id", "149", "-o", "ndjson").out.splitlines()] == ["/", "/odd\udcff"]


def test_a_redacted_scan_names_what_must_be_supplied(fake: Any, forgelet: Any) -> None:
    scan = {"dbId": 149, "name": "x Scan #1", "uri": "users/root/scannedinstances/133/scans/149", "jobId": 7}
    fake.mine("POST", "scannedinstances", (201, scan))
    fake.mine("GET", f"{BELOW}/report", {"blind_spots": [], "redacted": [{"path": "/etc/shadow", "secret": "password hashes"}]})
    fake.job(7, "done", percentage=100)
    result = forgelet("scan", "run", "--docker", "web", "--name", "x", "--overlay", "--redact")
    assert fake.asked[0][1]["redact"] is True
    assert "/etc/shadow: password hashes" in result.err
