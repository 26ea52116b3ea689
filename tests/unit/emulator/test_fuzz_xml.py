"""Bodies under hypothesis: XML that is none, bombs, wrong types, and documents of UForge's own types with something wrong in them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from support.fuzz import UFORGE, check, nothing_outside, tries

from emulator.service import Service
from emulator.wire.schema import Complex, schema

BASE = "/api/users/root"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"
AS_XML = {"Accept": "application/xml", "Content-Type": "application/xml"}
CALLS = {
    "image": "scannedinstances/1/scans/1/images",
    "scanImport": "scannedinstances/1/scans/1/imports",
    "publishImage": "scannedinstances/1/scans/1/images/1/pimages",
    "deployment": "scannedinstances/1/scans/1/images/1/pimages/1/deploys",
    "credAccount": "accounts",
    "migration": "migrations",
    "appliance": "appliances/1/clones",
    "mySoftware": "mysoftware/1/clone",
}
"""Root element -> the call that takes it; the service has a scan, an image and a publication with the number 1."""
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BOMBS = [
    f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><ROOT><name>&l11;</name></ROOT>',
    f'<!DOCTYPE x [<!ENTITY a "{"a" * 50000}">]><ROOT><name>{"&a;" * 5000}</name></ROOT>',
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ROOT><name>&e;</name></ROOT>',
    '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/evil.dtd"><ROOT/>',
    '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><ROOT/>',
    '<ROOT xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></ROOT>',
    "<ROOT>" + "<a>" * 5000 + "</a>" * 5000 + "</ROOT>",
    "<ROOT " + " ".join(f'a{n}="1"' for n in range(20000)) + "/>",
    "<ROOT><dbId>" + "9" * 100000 + "</dbId></ROOT>",
    "<ROOT>&undeclared;</ROOT>",
    "<ROOT/><ROOT/>",
    "<other/>",
    "{" * 100000,
    "[" * 100000 + "]" * 100000,
    '{"ROOT": {"dbId": 1e999}}',
    '{"ROOT": NaN}',
    "",
]
"""`ROOT` stands for the element that is asked for."""

names = st.sampled_from(sorted({name for kind in ("Image", "PublishImageOpenStack", "CredAccountOpenStack", "Deployment", "Migration") for name in schema().type(kind).elements}))
values = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20),
    st.sampled_from(["", "true", "yes", "-1", "0", str(2**31), str(2**63), str(-(2**70)), "1e9", "2024-01-01T00:00:00Z", "2024-01-01 00:00", "../../etc", "/", "'", "%s", "\u202e"]),
    st.integers().map(str),
)


@pytest.fixture(autouse=True)
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is answered to nonsense is evidence of nothing."""
    monkeypatch.delenv("FORGELET_JOURNAL", raising=False)


@pytest.fixture
def full(drive: Any, service: Service) -> TestClient:
    """The service with one of everything."""
    image = drive.image()
    sent = drive.http.post(f"/api/{image['uri']}/pimages", json={"credAccount": {"name": "local"}}).json()
    assert service.queue.wait(sent["jobId"], 10)
    found: TestClient = drive.http
    return found


def _post(http: TestClient, root: str, body: bytes | str) -> Any:
    answer = http.post(f"{BASE}/{CALLS[root]}", content=body, headers=AS_XML)
    check(answer, repr(body))
    return answer


def test_bombs_are_refused_at_once(full: TestClient, service: Service) -> None:
    with nothing_outside(service.folders.data):
        for root, bomb in itertools.product(CALLS, BOMBS):
            text = bomb.replace("ROOT", root)
            encodings = ("utf-8", "utf-16", "utf-32") if "!DOCTYPE" in bomb else ("utf-8",)
            for body in (text.encode(one) for one in encodings):
                answer = _post(full, root, body)
                assert 400 <= answer.status_code < 500
                assert "root:" not in answer.text, "that is /etc/passwd"


@tries(60)
@given(root=st.sampled_from(sorted(CALLS)), body=st.binary(max_size=200))
def test_bytes_that_are_nothing_are_refused(full: TestClient, root: str, body: bytes) -> None:
    assert _post(full, root, body).status_code >= 400


@st.composite
def elements(draw: Any, kind: Complex, name: str, depth: int = 0) -> etree._Element:
    """An element of a type, as it should be but for what is wrong with it."""
    made = etree.Element(name)
    if draw(st.integers(0, 5)) == 0:
        made.set(XSI, draw(st.sampled_from(["string", "ns1:nothing", *sorted(kind.derived)[:5]])))
    if depth > 4:
        return made
    known = sorted(kind.elements)
    for child in draw(st.lists(st.sampled_from(known), max_size=4)) if known else []:
        found = kind.elements[child]
        wrong = draw(st.integers(0, 9)) == 0
        if found.simple is not None and not wrong:
            leaf = etree.SubElement(made, child)
            leaf.text = draw(st.sampled_from(sorted(found.simple.values))) if found.simple.values and draw(st.booleans()) else draw(values)
        elif wrong:
            etree.SubElement(made, draw(names)).text = draw(values)
        else:
            made.append(draw(elements(schema().type(found.type), child, depth + 1)))
    return made


@st.composite
def documents(draw: Any) -> tuple[str, bytes]:
    root = draw(st.sampled_from(sorted(CALLS)))
    made = draw(elements(schema().type(schema().roots[root]), draw(st.sampled_from([root, f"{UFORGE}{root}"]))))
    return root, etree.tostring(made)


@tries(150)
@given(document=documents())
def test_documents_of_our_types_with_something_wrong_are_answered(full: TestClient, service: Service, document: tuple[str, bytes]) -> None:
    with nothing_outside(service.folders.data):
        _post(full, *document)


@tries(60)
@given(document=documents(), at=st.integers(0, 400), byte=st.integers(0, 255), cut=st.booleans())
def test_documents_that_were_damaged_on_their_way_are_answered(full: TestClient, document: tuple[str, bytes], at: int, byte: int, cut: bool) -> None:
    root, body = document
    at %= len(body)
    _post(full, root, body[:at] if cut else body[:at] + bytes([byte]) + body[at + 1 :])


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | values, inner, max_size=4), max_leaves=12)


@tries(60)
@given(root=st.sampled_from(sorted(CALLS)), value=JSON)
def test_json_of_any_shape_is_answered(full: TestClient, root: str, value: Any) -> None:
    import json

    _post(full, root, json.dumps(value))
