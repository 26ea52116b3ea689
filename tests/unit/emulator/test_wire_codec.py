"""UForge's XML, written strictly and read leniently; lxml is the second reader."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from emulator.errors import TooLarge
from emulator.wire.extras import EXTRAS
from emulator.wire.reader import LARGEST, decode
from emulator.wire.schema import schema
from emulator.wire.writer import Shared, Undeclared, encode
from scanner.errors import UserError

NS = "http://www.usharesoft.com/uforge"


def tree(raw: bytes) -> Any:
    return etree.fromstring(raw)


def test_the_root_is_qualified_and_nothing_below_it() -> None:
    root = tree(encode("images", {"images": {"image": [{"name": "a", "dbId": 1}]}}))
    assert root.tag == f"{{{NS}}}images"
    assert [one.tag for one in root.iter()][1:] == ["images", "image", "dbId", "name"]


def test_what_is_shared_is_written_as_often_as_it_is_told() -> None:
    plain = {"name": "QCOW2", "format": {"name": "qcow2"}}
    told, shared = ({"images": {"image": [{"dbId": number, "targetFormat": one} for number in range(3)]}} for one in (plain, Shared(plain)))
    assert encode("images", shared) == encode("images", told)
    with pytest.raises(Undeclared, match="targetFormat"):
        encode("images", {"images": {"image": [{"targetFormat": Shared({"nothing": 1})}]}})


def test_an_empty_list_keeps_its_wrapper() -> None:
    assert [one.tag for one in tree(encode("images", {"images": {"image": []}}))] == ["images"]


def test_values_are_written_as_xml_schema_wants_them() -> None:
    root = tree(encode("status", {"percentage": 5, "complete": False, "message": "a <b> & c\x00\udcff", "errorMessage": ""}))
    assert [(one.tag, one.text) for one in root] == [("complete", "false"), ("errorMessage", None), ("message", "a <b> & c\\x00\\udcff"), ("percentage", "5")]


def test_a_concrete_type_is_named() -> None:
    root = tree(encode("credAccount", {"xsiType": "CredAccountAws", "name": "x", "certificates": {"certificate": []}}))
    assert root.get("{http://www.w3.org/2001/XMLSchema-instance}type") == "ns1:CredAccountAws"
    assert root.nsmap["ns1"] == NS


@pytest.mark.parametrize(
    ("root", "data"),
    [
        ("image", {"nmae": "x"}),
        ("image", {"dbId": "1"}),
        ("image", {"dbId": True}),
        ("image", {"dbId": 1 << 63}),
        ("image", {"compress": 1}),
        ("image", {"created": "2024-05-01 12:00:00"}),
        ("image", {"name": ["a", "b"]}),
        ("image", {"name": {"a": 1}}),
        ("distribution", {"name": "Rocky Linux"}),
        ("credAccount", {"name": "x"}),
        ("credAccount", {"xsiType": "Image", "name": "x"}),
        ("nothing", {}),
    ],
)
def test_what_is_not_declared_is_never_written(root: str, data: dict[str, Any]) -> None:
    with pytest.raises(Undeclared):
        encode(root, data)


def test_our_keys_stay_out_of_xml_and_clash_with_none_of_uforge() -> None:
    assert [one.tag for one in tree(encode("scan", {"name": "x", "jobId": 1}))] == ["name"]
    assert all(not keys & set(schema().type(kind).elements) for kind, keys in EXTRAS.items())


def test_requests_of_the_real_client_are_read() -> None:
    raw = f"""<?xml version="1.0" ?><ns1:credAccount xmlns:ns1="{NS}" xmlns:ns2="http://www.w3.org/2001/XMLSchema"
      xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="ns1:CredAccountOpenStack"><targetPlatform xsi:type="ns1:TargetPlatform">
      <name xsi:type="ns2:string">OpenStack</name><type xsi:type="ns1:string">openstack</type></targetPlatform><name xsi:type="ns2:string">mine</name>
      <password>p &amp; w</password></ns1:credAccount>"""
    assert decode(raw.encode(), "credAccount") == {
        "xsiType": "CredAccountOpenStack",
        "targetPlatform": {"name": "OpenStack", "type": "openstack"},
        "name": "mine",
        "password": "p & w",
    }


def test_order_namespaces_and_bogus_types_do_not_matter() -> None:
    raw = f"""<image xmlns="{NS}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Instances"><simulated>True</simulated>
      <compress>false</compress><installProfile><diskSize> 12 </diskSize></installProfile><name/></image>"""
    assert decode(raw.encode(), "image") == {"simulated": True, "compress": False, "installProfile": {"diskSize": 12}, "name": ""}


def test_json_of_the_same_shape_is_read() -> None:
    assert decode(b'{"image": {"compress": true, "name": null}}', "image") == {"compress": True}


def test_every_mistake_is_named_with_its_place() -> None:
    with pytest.raises(UserError) as caught:
        decode(b"<image><dbId>9999999999999999999999</dbId><nmae/><compress>yes</compress><name>a</name><name>b</name></image>", "image")
    assert [one.partition(":")[0] for one in caught.value.problems] == ["image.dbId", "image.nmae", "image.compress", "image.name"]


BOMB = b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><image><name>&b;</name></image>'
FILE = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><image><name>&a;</name></image>'


@pytest.mark.parametrize(
    "raw",
    [
        BOMB,
        FILE,
        BOMB.decode().encode("utf-16"),
        b"",
        b"<image>",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b"<image>\x00</image>",
        b"<other/>",
        b"<image>text</image>",
        b"<image><name><b/></name></image>",
        b"<image>&undefined;</image>",
        b'{"dbId": NaN}',
        b"{" * 100_000,
        b"[" * 100_000,
        b"<image>" + b"<a>" * 5000,
    ],
)
def test_hostile_bodies_are_refused(raw: bytes) -> None:
    with pytest.raises(UserError):
        decode(raw, "image")


def test_nesting_is_bounded() -> None:
    deep = b"<categories><categories><category>" + b"<subCategories><category>" * 60 + b"</category></subCategories>" * 60 + b"</category></categories></categories>"
    with pytest.raises(UserError, match="deeper"):
        decode(deep, "categories")


def test_size_is_bounded() -> None:
    with pytest.raises(TooLarge):
        decode(b" " * (LARGEST + 1), "image")


@given(st.dictionaries(st.sampled_from(["name", "version", "tag", "uri"]), st.text(max_size=30)), st.integers(-(1 << 63), (1 << 63) - 1), st.booleans())
def test_what_is_written_reads_back(texts: dict[str, str], number: int, flag: bool) -> None:
    data = {**texts, "dbId": number, "compress": flag}
    again = decode(encode("image", data), "image")
    assert {key: again[key] for key in ("dbId", "compress")} == {"dbId": number, "compress": flag}
    for key, text in texts.items():
        if all(one.isprintable() for one in text):
            assert again[key] == text


@given(st.binary(max_size=300))
def test_no_bytes_whatever_make_a_fault(raw: bytes) -> None:
    for body in (raw, b"<image>" + raw + b"</image>", b'{"name": ' + raw + b"}"):
        try:
            assert isinstance(decode(body, "image"), dict)
        except UserError:
            continue
