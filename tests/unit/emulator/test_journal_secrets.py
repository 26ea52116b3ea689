"""Whatever the syntax, the value, and the key that speaks of a secret: what the journal keeps has nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.control.journal import redact
from emulator.control.journal.recorder import LARGEST

KEYS = ("password", "sudoPassword", "PASSWORD", "privateKey", "applicationCredentialSecret", "secretKey", "token", "passphrase", "userData", "identity", "content")
WORDS = ("sesame", "orchid", "walnut")
"""A secret is these, with anything between them: none may be left over."""
BETWEEN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from(list(",:;{}[]\"'#&*!|>%@`\\\n?- ")), max_size=8)
SECRETS = st.builds(lambda *parts: "".join(word + part for word, part in zip(WORDS, parts, strict=True)), BETWEEN, BETWEEN, BETWEEN)
DUMPED: list[dict[str, Any]] = [{"default_style": style, "default_flow_style": flow, "width": width} for style in (None, '"', "'", "|", ">") for flow in (False, True) for width in (20, 4000)]


def builder(key: str, value: Any) -> dict[str, Any]:
    return {"builders": [{"type": "openstack", "account": {"name": "cloud", key: value}, "publicImage": False}]}


def block(key: str, value: str, style: str) -> str:
    lines = "".join(f"      {line}\n" for line in value.splitlines())
    return f"builders:\n- account:\n    {key}: {style}\n{lines}    name: cloud\n"


def element(key: str, inside: str) -> str:
    return f'<ns1:credAccount xmlns:ns1="x"><name>cloud</name><{key}>{inside}</{key}></ns1:credAccount>'


SYNTAXES: dict[str, Callable[[str, str], str]] = {
    "JSON": lambda key, value: json.dumps(builder(key, value)),
    "JSON, indented": lambda key, value: "\n " + json.dumps(builder(key, value), indent=2),
    "JSON, nested": lambda key, value: json.dumps({key: {"value": [value, {"more": value}]}}),
    "JSON, a key": lambda key, value: json.dumps({key: {value: 1}}),
    "JSON, its key written out": lambda key, value: '{"' + "".join(f"\\u{ord(one):04x}" for one in key) + '":' + json.dumps(value) + "}",
    "JSON twice": lambda key, value: json.dumps({key: "", "text": json.dumps(json.dumps(builder(key, value)))}),
    **{f"YAML {given}": lambda key, value, given=given: yaml.safe_dump(builder(key, value), **given) for given in DUMPED},  # type: ignore[misc]
    **{f"YAML {style}": lambda key, value, style=style: block(key, value, style) for style in (">-", "|", "|+", ">2", "!!str |")},  # type: ignore[misc]
    "YAML, written out": lambda key, value: f"? {key}\n: {json.dumps(value)}\n",
    "YAML, in one line": lambda key, value: f"builders: [{{type: openstack, account: {{name: c, {key}: {json.dumps(value)}, login: x}}}}]",
    "YAML, called elsewhere": lambda key, value: f"shared: &it {json.dumps(value)}\naccount: {{{key}: *it}}\n",
    "YAML, merged": lambda key, value: f"one: &it {{{key}: {json.dumps(value)}}}\ntwo: {{<<: *it, name: x}}\n",
    "YAML, two documents": lambda key, value: f"--- {{a: 1}}\n--- {{{key}: {json.dumps(value)}}}\n",
    "XML": lambda key, value: element(key, escape(value)),
    "XML, CDATA": lambda key, value: element(key, f"<![CDATA[{value.replace(']]>', '')}]]>"),
    "XML, a comment": lambda key, value: element(key, f"<!-- -->{escape(value)}<!-- {value.replace('-', '')} --><a>{escape(value)}</a>{escape(value)}"),
    "XML, an attribute": lambda key, value: f"<a {key}={quoteattr(value)}><{key} value={quoteattr(value)}/></a>",
    "XML, declared": lambda key, value: "<?xml version='1.0' encoding='UTF-8'?>\n" + element(key, escape(value)),
    "YAML in XML": lambda key, value: element("text", escape(yaml.safe_dump(builder(key, value)))),
}
MEDIA = ("application/json", "application/xml", "application/x-yaml", "text/plain; charset=utf-8", "")


def left(text: str, media: str) -> list[str]:
    """Words of the secret that are kept of a body."""
    kept = redact.body(text, media)
    return [word for word in WORDS if word in kept.text + kept.omitted + "".join(kept.gone)]


@pytest.mark.parametrize("syntax", sorted(SYNTAXES))
def test_no_syntax_no_key_and_no_type_of_body_leaves_a_secret(syntax: str) -> None:
    for key in KEYS:
        text = SYNTAXES[syntax](key, "sesame,orchid}walnut")
        for one in (text, json.dumps({"fileName": "b.yml", "text": text})):
            assert [(key, media) for media in MEDIA if left(one, media)] == []


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SYNTAXES)), st.sampled_from(KEYS), SECRETS, st.sampled_from(MEDIA), st.booleans())
@example("YAML, in one line", "password", "sesame,orchid}walnut", "", True)
def test_a_secret_is_in_nothing_that_is_kept(syntax: str, key: str, value: str, media: str, within: bool) -> None:
    text = SYNTAXES[syntax](key, value)
    if within:
        text = json.dumps({"fileName": "b.yml", "text": text, "account": None})
    assert left(text, media) == []


@pytest.mark.parametrize("syntax", sorted(set(SYNTAXES) - {"XML, a comment"}))
def test_what_is_no_secret_is_kept(syntax: str) -> None:
    """So nothing is hidden by keeping nothing."""
    kept = redact.body(SYNTAXES[syntax]("password", "sesame"), "")
    assert redact.GONE in kept.text and not kept.omitted
    assert kept.gone == ["password"]
    if "cloud" in SYNTAXES[syntax]("password", "sesame"):
        assert "cloud" in kept.text


@pytest.mark.parametrize("value", [12345678, 12345678.5, [12345678], {"a": {"b": 12345678}}, {"12345678": None}])
def test_a_secret_may_be_of_any_type(value: Any) -> None:
    told = {"password": value, "login": 7, "secretsMissing": True}
    for text in (json.dumps(told), yaml.safe_dump(told), json.dumps({"text": yaml.safe_dump(told)})):
        kept = redact.body(text, "application/json")
        assert "1234567" not in kept.text and "7" in kept.text and "true" in kept.text


@pytest.mark.parametrize(
    ("text", "media"),
    [
        ('{"password": "sesame', "application/json"),
        ("<a><password>sesame</a>", "application/xml"),
        ("<!DOCTYPE a [<!ENTITY b 'sesame'>]><a><password>&b;</password></a>", "application/xml"),
        ("password: sesame\n\tb: [", "application/x-yaml"),
        ("<html><input name=password value=sesame></html>", "text/html"),
        ("[" * 3000 + '"password: sesame"' + "]" * 3000, "application/json"),
        ("a: &a [password: sesame, *a]", ""),
        ("<?xml version='1.0' encoding='UTF-7'?><a", "application/xml"),
        ("p\0a\0s\0s\0w\0o\0r\0d\0: sesame [", "text/plain"),
    ],
)
def test_what_cannot_be_read_is_not_kept_and_the_entry_says_so(text: str, media: str) -> None:
    kept = redact.body(text, media)
    assert kept.text == "" and "cannot be read" in kept.omitted


def test_prose_stays_as_it_is() -> None:
    for text in ("no harm: here", "a log\nof lines: [ { with anything", "the password is wrong", "<p>no end"):
        assert redact.body(text, "text/plain") == redact.Kept(text, [])
    assert redact.body("a=b&password=sesame", "application/x-www-form-urlencoded") == redact.Kept("a=b&password=***", ["password"])


def test_the_journal_says_of_a_body_that_it_is_not_kept(drive: Any) -> None:
    drive.http.post("/api/users/root/accounts", content=json.dumps({"name": "n" * LARGEST, "password": "sesame"}), headers={"Content-Type": "application/json"})
    entry = drive.http.get("/_forgelet/journal", params={"bodies": True}).json()["journal"]["entry"][0]
    assert (entry["request"]["body"], entry["request"]["whole"]) == ("", False) and "longer than" in entry["request"]["omitted"]
    [told] = drive.http.get("/_forgelet/journal/har").json()["log"]["entries"]
    assert "longer than" in told["request"]["postData"]["comment"]
