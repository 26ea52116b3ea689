"""The driver of OpenStack against a stand-in that misbehaves: how it logs in, what it sends again, and how it tells what went wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.pretend import Handler, Pretend, cut, slow
from support.tinydisk import offer

from builders.clouds import contract, glance, login, nova
from builders.clouds.base import Instance, Offer, Published, Request
from builders.clouds.openstack import OpenstackCloud
from builders.clouds.versions import version_problem, version_warning
from builders.errors import CloudRefused
from scanner.errors import Cancelled, ForgeletError, NotFound, Unreachable
from scanner.progress import Silent

LOGIN = "POST /v3/auth/tokens"
IMAGE = r"GET /v2/images/[^/]+"
FILE = r"GET /v2/images/[^/]+/file"
SEND = r"PUT /v2/images/[^/]+/file"
SERVERS = "POST /compute/v2.1/servers"
SERVER = "/compute/v2.1/servers/[^/]+"
KEY = "ssh-ed25519 AAAA someone"


class Said(Silent):
    """Keeps the lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def cloud() -> Iterator[Pretend]:
    made = Pretend()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance, "PAUSES", (0.0,) * 4)
    monkeypatch.setattr(nova, "LATE", 0.0)


@pytest.fixture
def given(tmp_path: Path) -> Offer:
    return offer(tmp_path / "image")


def publish(cloud: Pretend, given: Offer, progress: Silent | None = None, **fields: Any) -> tuple[Published, list[str]]:
    began: list[str] = []
    return OpenstackCloud(cloud.opened(**fields)).publish(given, progress or Silent(), began.append), began


def answers(status: int, told: Any = None) -> Callable[[Handler], bool]:
    return lambda handler: handler.tell(status, told)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda one: one.__name__)
def test_the_contract(cloud: Pretend, given: Offer, check: contract.Check, tmp_path: Path) -> None:
    check(OpenstackCloud(cloud.opened()), given, tmp_path)
    assert cloud.images == {}


# How it logs in


@pytest.mark.parametrize(
    ("name", "spelling"), [("Sales", "Sales"), ("Sales", "sales"), ("Sales", "SALES"), ("Sales", "d-1"), ("Sales", "D-1"), ("SALES", "sales"), ("sales", "SALES"), ("sales", "Sales")]
)
def test_a_domain_is_found_by_id_or_name_in_any_case(cloud: Pretend, name: str, spelling: str) -> None:
    cloud.domains["d-1"] = name
    assert OpenstackCloud(cloud.opened(keystoneDomain=spelling)).check().project == "demo"


@pytest.mark.parametrize(("domain", "most"), [(None, 1), ("Default", 2), ("DEFAULT", 2), ("Sales", 5)])
@pytest.mark.parametrize("call", ["check", "publish", "resources"])
def test_a_wrong_password_is_tried_once_a_spelling_and_what_cannot_be_found_is_said(cloud: Pretend, given: Offer, domain: str | None, most: int, call: str) -> None:
    opened = OpenstackCloud(cloud.opened("wrong", keystoneDomain=domain))
    calls: dict[str, Callable[[], object]] = {"check": opened.check, "publish": lambda: opened.publish(given, Silent(), lambda _: None), "resources": opened.resources}
    for _ in range(2):
        with pytest.raises(CloudRefused, match="does not take the login") as refused:
            calls[call]()
    assert cloud.asked[LOGIN] <= most
    assert (domain or "default") in refused.value.message and "no user 'demo'" in refused.value.message
    assert "keystoneDomain" in refused.value.hint


def test_a_refused_application_credential_is_asked_for_once(cloud: Pretend) -> None:
    cloud.faults[LOGIN] = answers(401, {"error": {"message": "no"}})
    with pytest.raises(CloudRefused, match="HTTP 401"):
        OpenstackCloud(cloud.opened(applicationCredentialId="abc")).check()
    assert cloud.asked[LOGIN] == 1


def test_an_application_credential_of_another_project_than_the_builder_names_is_refused(cloud: Pretend, given: Offer) -> None:
    with pytest.raises(CloudRefused, match="is one of project 'demo', and the builder names 'other'"):
        publish(cloud, given, applicationCredentialId="abc", keystoneProject="other")
    assert cloud.images == {}
    assert publish(cloud, given, applicationCredentialId="abc", keystoneProject="DEMO")[0].tenant == "demo"


def test_a_cloud_that_is_slow_is_told_before_whoever_asks_gives_up(cloud: Pretend) -> None:
    cloud.faults["(GET|POST) .*"] = slow(0.4)
    with pytest.raises(Unreachable, match="too slow"):
        OpenstackCloud(cloud.opened(patience=0.6)).check()
    assert sum(cloud.asked.values()) <= 3


def test_one_service_that_is_slow_is_told_with_the_others(cloud: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "TIMEOUT", 2.0)
    cloud.faults["GET /compute.*"] = slow(6)
    said = OpenstackCloud(cloud.opened()).check()
    assert (said.abilities["publish"], said.abilities["provision"], said.abilities["networks"]) == (True, False, True)
    assert "the compute service does not answer" in said.facts["no provision"]


@pytest.mark.parametrize(("said", "problem", "warning"), [("v3", False, False), (None, False, False), (3.0, False, False), ("v2.0", False, True), (2.0, False, True), ("v9", True, False)])
def test_versions_of_keystone(said: object, problem: bool, warning: bool) -> None:
    assert (bool(version_problem(said)), bool(version_warning(said))) == (problem, warning)


def test_an_old_version_of_keystone_is_warned_of_in_the_jobs_log(cloud: Pretend, given: Offer) -> None:
    heard = Said()
    publish(cloud, given, heard, keystoneVersion="v2.0")
    assert any("Keystone has no v2 any more" in line for line in heard.lines)


# What is sent again


def test_a_download_that_breaks_off_goes_on(cloud: Pretend, given: Offer, tmp_path: Path) -> None:
    sent, _ = publish(cloud, given)
    cloud.times(2, FILE, cut(1 << 20))
    OpenstackCloud(cloud.opened()).fetch(sent.cloud_id, tmp_path / "back", Silent())
    assert (tmp_path / "back").read_bytes() == given.file.read_bytes()
    assert cloud.asked[f"GET /v2/images/{sent.cloud_id}/file"] == 3


def test_a_download_that_always_breaks_off_is_told_as_such(cloud: Pretend, given: Offer, tmp_path: Path) -> None:
    sent, _ = publish(cloud, given)
    cloud.faults[FILE] = cut(0)
    with pytest.raises(Unreachable) as broke:
        OpenstackCloud(cloud.opened()).fetch(sent.cloud_id, tmp_path / "back", Silent())
    assert broke.value.hint and not (tmp_path / "back").exists()


def test_an_upload_survives_a_glance_that_is_started_anew(cloud: Pretend, given: Offer) -> None:
    """Neither the upload nor what asks after it gets through for a while."""
    cloud.once(SEND, Handler.hang_up)
    cloud.times(2, IMAGE, Handler.hang_up)
    heard = Said()
    sent, _ = publish(cloud, given, heard)
    assert cloud.contents[sent.cloud_id] == given.file.read_bytes()
    assert sum("again from the start" in line for line in heard.lines) >= 2


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_upload_survives_a_gateway_whose_glance_is_away(cloud: Pretend, given: Offer, status: int) -> None:
    cloud.times(2, SEND, answers(status))
    assert publish(cloud, given)[0].size == given.file.stat().st_size


def test_an_upload_survives_a_glance_that_was_killed_while_it_saved(cloud: Pretend, given: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its image says `saving` for ever, and takes no other upload: another is begun, once, and the first is taken away."""

    def killed(handler: Handler) -> bool:
        handler.cloud.images[handler.id]["status"] = "saving"
        return handler.hang_up()

    monkeypatch.setattr(glance, "SETTLED", 0.0)
    cloud.once(SEND, killed)
    sent, began = publish(cloud, given)
    assert (list(cloud.images), [one for one in began if one]) == ([sent.cloud_id], [began[0], sent.cloud_id])
    assert (began[1], cloud.contents[sent.cloud_id]) == ("", given.file.read_bytes())
    cloud.images.clear()
    cloud.faults[SEND] = killed
    with pytest.raises(CloudRefused, match="it is saving"):
        publish(cloud, given)
    assert cloud.images == {}


def test_waiting_for_the_image_survives_a_glance_that_is_started_anew(cloud: Pretend, given: Offer) -> None:
    cloud.times(2, IMAGE, answers(503))
    assert publish(cloud, given)[0].size == given.file.stat().st_size


def test_an_image_that_is_gone_when_it_is_asked_for_again_was_given_up(cloud: Pretend, given: Offer) -> None:
    def goes(handler: Handler) -> bool:
        handler.cloud.images.clear()
        return handler.hang_up()

    cloud.once(SEND, goes)
    with pytest.raises(CloudRefused, match="gave the image up while it was saved: it is gone"):
        publish(cloud, given)


@pytest.mark.parametrize("algorithm", ["sha512", "sha256", "md5", "sha1", "blake2b"])
def test_what_arrived_is_compared_by_whatever_hash_the_cloud_makes(cloud: Pretend, given: Offer, tmp_path: Path, algorithm: str) -> None:
    cloud.hash = algorithm
    sent, began = publish(cloud, given)
    assert (sent.sha512, began) == (hashlib.sha512(given.file.read_bytes()).hexdigest(), [sent.cloud_id])
    assert publish(cloud, given)[0] == replace(sent, already=True)
    cloud.contents[sent.cloud_id] = bytes(sent.size)
    with pytest.raises(CloudRefused, match="is not what the cloud says it has"):
        OpenstackCloud(cloud.opened()).fetch(sent.cloud_id, tmp_path / "back", Silent())
    assert not list(tmp_path.glob("back*"))
    cloud.images.clear()

    def damages(handler: Handler) -> bool:
        handler.body = handler.body[:-1] + b"x"
        return False

    cloud.faults[SEND] = damages
    with pytest.raises(CloudRefused, match="has other bytes than were sent"):
        publish(cloud, given)
    assert cloud.images == {}


def test_a_cloud_that_tells_no_hash_is_said_not_to_be_compared(cloud: Pretend, given: Offer) -> None:
    cloud.hash = ""
    heard = Said()
    publish(cloud, given, heard)
    assert any("was not compared with what was sent" in line for line in heard.lines)


# How it tells what went wrong


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("GET /v2/images", answers(200, "<html>hello</html>")),
        ("GET /v2/images", answers(200, {"hello": "world"})),
        ("GET /v2/images", answers(200, ["hello"])),
        ("(GET|POST) /v2/images", answers(404)),
        ("GET /v2/images", Handler.hang_up),
        ("POST /v2/images", answers(500)),
        (LOGIN, answers(200, "<html>hello</html>")),
        (LOGIN, answers(200, {"hello": "world"})),
        (LOGIN, answers(404)),
        (LOGIN, Handler.hang_up),
        ("GET /v3/auth/projects", answers(200, "<html>hello</html>")),
        ("GET /v3/auth/projects", answers(200, {"hello": "world"})),
    ],
)
def test_whatever_answers_it_is_an_error_of_ours_with_its_next_step(cloud: Pretend, given: Offer, what: str, fault: Callable[[Handler], bool]) -> None:
    cloud.faults[what] = fault
    with pytest.raises(ForgeletError) as told:
        publish(cloud, given)
    assert isinstance(told.value, CloudRefused | Unreachable) and told.value.hint
    assert not isinstance(told.value, NotFound)


def test_that_something_is_gone_is_believed_of_a_glance_only(cloud: Pretend) -> None:
    opened = OpenstackCloud(cloud.opened())
    with pytest.raises(NotFound):
        opened.withdraw("none")
    cloud.faults[".* /v2/images.*"] = answers(404)
    with pytest.raises(CloudRefused, match="does not answer as a Glance does") as told:
        opened.withdraw("none")
    assert "glanceUrl" in told.value.hint


def test_what_a_check_could_not_take_away_is_said_and_taken_away_by_the_next(cloud: Pretend) -> None:
    cloud.faults["DELETE /v2/images/.*"] = answers(500)
    said = OpenstackCloud(cloud.opened()).check()
    [left] = cloud.images
    assert said.abilities["publish"] and left in said.facts["left behind"]
    cloud.faults.clear()
    assert "left behind" not in OpenstackCloud(cloud.opened()).check().facts
    assert cloud.images == {}


# Instances


def provision(cloud: Pretend, **given: Any) -> tuple[Instance, list[str]]:
    began: list[str] = []
    return OpenstackCloud(cloud.opened()).provision("image", Request("web", "small", **given), Silent(), began.append), began


def test_an_instance_leaves_no_key_pair_behind(cloud: Pretend) -> None:
    made, began = provision(cloud, public_keys=(KEY,))
    assert (list(cloud.servers), cloud.pairs) == ([made.id], {})
    asked = cloud.servers[made.id]["asked"]
    assert asked["key_name"] == asked["metadata"]["forgelet"] == began[0]
    assert began[1:] == [made.id]
    OpenstackCloud(cloud.opened()).terminate(made.id)
    assert cloud.servers == {}


@pytest.mark.parametrize(
    "fault",
    [
        lambda handler: handler.make() is None and handler.hang_up(),
        lambda handler: handler.make() is None and handler.tell(504),
        lambda handler: handler.make() is None and handler.tell(500, {"computeFault": {"message": "x"}}),
    ],
    ids=["hung up", "gateway", "fault"],
)
def test_a_server_that_nobody_was_told_of_is_taken_away(cloud: Pretend, fault: Callable[[Handler], bool]) -> None:
    cloud.faults[SERVERS] = fault
    began: list[str] = []
    with pytest.raises((Unreachable, CloudRefused)):
        OpenstackCloud(cloud.opened()).provision("image", Request("web", "small", public_keys=(KEY,)), Silent(), began.append)
    assert (cloud.servers, cloud.pairs) == ({}, {})
    assert began[-1] == ""


@pytest.mark.parametrize("when", ["in the call", "while it is noted"])
def test_a_cancel_leaves_no_server(cloud: Pretend, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    opened = OpenstackCloud(cloud.opened())
    began: list[str] = []

    def note(cloud_id: str) -> None:
        began.append(cloud_id)
        if when == "while it is noted" and cloud_id.startswith("server-"):
            raise Cancelled("cancelled")

    def cancelled(*_: object, **asked: Any) -> Any:
        real(**asked)
        raise Cancelled("cancelled")

    if when == "in the call":
        real = opened._nova._cloud.compute.create_server
        monkeypatch.setattr(opened._nova._cloud.compute, "create_server", cancelled)
    with pytest.raises(Cancelled):
        opened.provision("image", Request("web", "small", public_keys=(KEY,)), Silent(), note)
    assert (cloud.servers, cloud.pairs, began[-1]) == ({}, {}, "")


def test_a_server_that_appears_late_is_found_by_what_it_began_as(cloud: Pretend) -> None:
    late: list[Handler] = []

    def later(handler: Handler) -> bool:
        late.append(handler)
        return handler.hang_up()

    cloud.faults[SERVERS] = later
    began: list[str] = []
    opened = OpenstackCloud(cloud.opened())
    with pytest.raises(Unreachable):
        opened.provision("image", Request("web", "small"), Silent(), began.append)
    assert began[-1] != "", "it may still appear"
    late[0].make()
    opened.terminate(began[-1])
    assert cloud.servers == {}
    with pytest.raises(NotFound):
        opened.terminate(began[-1])


def test_what_nova_refuses_is_nothing_to_take_away(cloud: Pretend) -> None:
    cloud.faults[SERVERS] = answers(403, {"forbidden": {"message": "Quota exceeded"}})
    began: list[str] = []
    with pytest.raises(CloudRefused, match="Quota exceeded"):
        OpenstackCloud(cloud.opened()).provision("image", Request("web", "small", public_keys=(KEY,)), Silent(), began.append)
    assert (began[-1], cloud.pairs) == ("", {})


def test_a_server_that_does_not_go_is_said_to_be_there(cloud: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nova, "END", 0.1)
    made, _ = provision(cloud)
    cloud.faults[f"DELETE {SERVER}"] = answers(204)
    with pytest.raises(CloudRefused, match="is still there") as told:
        OpenstackCloud(cloud.opened()).terminate(made.id)
    assert told.value.hint


def test_of_several_networks_one_must_be_named(cloud: Pretend) -> None:
    cloud.networks.append({**cloud.networks[0], "id": "net-2", "name": "second"})
    with pytest.raises(CloudRefused) as refused:
        provision(cloud)
    assert refused.value.problems == ("network: which one? there are private, second",)
    made, _ = provision(cloud, networks=("second",))
    assert cloud.servers[made.id]["asked"]["networks"] == [{"uuid": "net-2"}]


def test_a_neutron_that_fails_is_no_cloud_without_networks(cloud: Pretend) -> None:
    cloud.faults["GET /network.*"] = answers(500)
    with pytest.raises(ForgeletError):
        provision(cloud)
    assert cloud.servers == {}
    cloud.services = ("image", "compute")
    made, _ = provision(cloud)
    assert cloud.servers[made.id]["asked"]["networks"] == "none"


def test_what_nova_cannot_do_is_not_dropped(cloud: Pretend) -> None:
    with pytest.raises(CloudRefused) as refused:
        provision(cloud, ports=(80,))
    assert refused.value.problems[0].startswith("ports: only the local cloud")
    made, _ = provision(cloud, hostname="inside")
    assert cloud.servers[made.id]["asked"]["hostname"] == "inside"
