"""`forgelet image publish`, `deploy`, `migration` and clouds of clouds.yaml, against a service that answers from a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.clouds import account_of
from cli.errors import CommandError

BUILDER = "builders:\n- {type: openstack, hardwareSettings: {memory: 1024}, installation: {diskSize: 2000}, account: local}\n"
MIGRATION = """
migration:
  name: web
  os: linux
  source: {docker: debian12-web, exclude: [/srv]}
  target:
    builder: {type: openstack, account: {name: local}}
    provision: {flavor: f1.small, key: id.pub, ports: [80]}
    verify: {probes: ["http://:80/"]}
"""


def publication(**fields: Any) -> dict[str, Any]:
    status = {"complete": True, "error": False, "cancelled": False, "message": "Published", "percentage": 100}
    return {"dbId": 4, "name": "web", "imageUri": "users/root/x/images/3", "credAccount": {"name": "local"}, "tenantName": "root", "cloudId": "c-1", "status": status, "jobId": 9, **fields}


def test_an_image_is_published_by_the_builders_file(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(BUILDER)
    fake.mine("POST", "images/3/publications", (201, publication()))
    fake.mine("GET", "pimages/4", publication())
    fake.job(9, "running", "done", exitCode=0, message="Published")
    done = forgelet("image", "publish", "--id", "3", "--file", str(tmp_path / "b.yml"), "--account", "cloud")
    assert done.code == 0, done.err
    assert "Publish ID: 4" in done.out and "Cloud ID: c-1" in done.out
    assert fake.asked[0][1] == {"fileName": "b.yml", "text": BUILDER, "account": "cloud"}


def test_an_account_file_of_the_builder_is_kept(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("accounts: [{type: OpenStack, name: cloud, keystoneUrl: 'http://k', keystoneVersion: v3, login: me, password: secret-word}]\n")
    (tmp_path / "b.yml").write_text(BUILDER.replace("account: local", "account: {file: a.yml}"))
    fake.mine("GET", "accounts", {"credAccounts": {"credAccount": [{"name": "local", "dbId": 1}]}})
    fake.mine("POST", "accounts", (201, {"name": "cloud", "dbId": 2}))
    fake.mine("POST", "images/3/publications", (201, publication()))
    fake.mine("GET", "pimages/4", publication())
    fake.job(9, "done", exitCode=0)
    done = forgelet("image", "publish", "--id", "3", "--file", str(tmp_path / "b.yml"))
    assert done.code == 0 and "secret-word" not in done.out + done.err
    assert [key for key, _ in fake.asked][:3] == ["GET /api/users/root/accounts", "POST /api/users/root/accounts", "POST /api/users/root/images/3/publications"]
    assert fake.asked[2][1]["account"] == "cloud"


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("{file: a.yml}", "has the accounts one, two: which one?"),
        ("{file: a.yml, name: three}", "has the accounts one, two: which one?"),
        ("{file: none.yml}", "cannot be read"),
        ("{cloud: moon}", "no cloud 'moon'"),
    ],
)
def test_an_account_that_is_not_to_be_found_is_said_before_anything_is_sent(fake: Any, forgelet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yml").write_text("accounts: [{type: OpenStack, name: one}, {type: OpenStack, name: two}]\n")
    (tmp_path / "b.yml").write_text(BUILDER.replace("account: local", f"account: {account}"))
    done = forgelet("image", "publish", "--id", "3", "--file", str(tmp_path / "b.yml"))
    assert done.code == 1 and said in done.err
    assert fake.asked == []


@pytest.mark.usefixtures("clouds")
def test_a_migration_takes_its_account_from_clouds_yaml_or_a_file(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("accounts: [{type: OpenStack, name: filed, keystoneUrl: 'http://k', keystoneVersion: v3, login: me, password: secret-word}]\n")
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA me\n")
    fake.mine("GET", "accounts", {"credAccounts": {"credAccount": [{"name": "local", "dbId": 1}]}})
    fake.mine("POST", "accounts", (201, {"name": "x", "dbId": 2}))
    fake.mine("POST", "migrations/launches", (201, migration(state="running")))
    for written, name in (("{cloud: lab}", "lab"), ("{file: a.yml}", "filed")):
        (tmp_path / "m.yml").write_text(MIGRATION.replace("{name: local}", written))
        done = forgelet("migration", "launch", "--file", str(tmp_path / "m.yml"), "--detach")
        assert done.code == 0 and "secret-word" not in done.out + done.err, done.err
        (_, kept), (key, asked) = fake.asked[-2:]
        assert (kept["name"], kept["password"]) == (name, "secret-word")
        assert key.endswith("migrations/launches") and asked["builder"]["account"] == {"name": name}


@pytest.mark.parametrize("words", [("image", "delete"), ("image", "cancel", "--id", "1", "--publish-id", "2"), ("image", "download", "--file", "x")])
def test_an_image_is_named_by_one_number(forgelet: Any, words: tuple[str, ...]) -> None:
    done = forgelet(*words)
    assert done.code == 1 and "which image?" in done.err


CLOUDS = """
clouds:
  lab:
    region_name: RegionOne
    auth: {auth_url: "http://k:5000/v3", username: demo, project_name: demo, user_domain_name: Default}
  app:
    auth: {auth_url: "http://k:5000/v3", application_credential_id: abc}
"""


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    (tmp_path / "secure.yaml").write_text("clouds:\n  lab: {auth: {password: secret-word}}\n  app: {auth: {application_credential_secret: other}}\n")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLIENT_SECURE_FILE", str(tmp_path / "secure.yaml"))


@pytest.mark.usefixtures("clouds")
def test_a_cloud_of_clouds_yaml_is_an_account(fake: Any, forgelet: Any) -> None:
    fake.mine("POST", "accounts", (201, {"name": "lab", "dbId": 2, "targetPlatform": {"name": "OpenStack"}}))
    done = forgelet("account", "create", "--cloud", "lab")
    assert done.code == 0 and "secret-word" not in done.out
    assert fake.asked[0][1] == {
        "name": "lab",
        "targetPlatform": {"name": "OpenStack"},
        "keystoneUrl": "http://k:5000/v3",
        "keystoneVersion": "v3",
        "login": "demo",
        "password": "secret-word",
        "keystoneDomain": "Default",
        "keystoneProject": "demo",
        "region": "RegionOne",
    }
    assert account_of("app")["applicationCredentialSecret"] == "other"
    with pytest.raises(CommandError, match=r"no cloud 'moon' in clouds.yaml \(there are: app, lab\)"):
        account_of("moon")


def migration(**fields: Any) -> dict[str, Any]:
    status = {"message": "Done", "percentage": 100, "errorMessage": ""}
    told = {"dbId": 1, "name": "web", "state": "done", "stage": "verify", "stageList": ["scan", "build"], "jobId": None, "made": {"scan": 1}, "hint": "", "exitCode": 0, "status": status}
    return {**told, **fields}


def test_a_migration_is_launched_by_its_file(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA me\n")
    (tmp_path / "m.yml").write_text(MIGRATION)
    fake.mine("POST", "migrations/launches", (201, migration(state="running")))
    fake.mine("GET", "migrations/1", migration())
    done = forgelet("migration", "launch", "--file", str(tmp_path / "m.yml"))
    assert done.code == 0 and "web: Done" in done.out, done.err
    asked = fake.asked[0][1]
    assert (asked["target"], asked["exclude"], asked["verify"], asked["probes"]) == ("docker:debian12-web", ["/srv"], True, ["http://:80/"])
    assert asked["provision"] == {"flavor": "f1.small", "ports": [80], "publicKeys": ["ssh-ed25519 AAAA me"]}


def test_a_failed_one_ends_with_its_stages_exit_code(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text(MIGRATION.replace("    provision: {flavor: f1.small, key: id.pub, ports: [80]}\n", ""))
    fake.mine("POST", "migrations/launches", (201, migration(state="running")))
    fake.mine("GET", "migrations/1", migration(state="failed", exitCode=4, hint="look; then go on: forgelet migration resume 1", status={"message": "Failed", "percentage": 80, "errorMessage": "it differs"}))
    done = forgelet("migration", "launch", "--file", str(tmp_path / "m.yml"))
    assert done.code == 4 and "it differs" in done.err and "resume 1" in done.err


def test_every_mistake_of_a_migration_file_is_named(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text("migration: {os: windows, source: {host: a, docker: b, pasword: x}, target: {bilder: {}}, when: now}\n")
    done = forgelet("migration", "launch", "--file", str(tmp_path / "m.yml"))
    assert done.code == 1 and fake.asked == []
    for said in ("migration.when: unknown", "migration.source.pasword: unknown", "migration.target.bilder: unknown", "migration.name: is missing", "'windows' cannot", "not 2", "migration.target.builder: is missing"):
        assert said in done.err, said


def test_the_password_of_an_account_file_counts_for_an_account_that_is_known(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("accounts: [{type: OpenStack, name: cloud, keystoneUrl: 'http://k', keystoneVersion: v3, login: me, password: corrected}]\n")
    (tmp_path / "b.yml").write_text(BUILDER.replace("account: local", "account: {file: a.yml}"))
    fake.mine("GET", "accounts", {"credAccounts": {"credAccount": [{"name": "local", "dbId": 1}, {"name": "cloud", "dbId": 7}]}})
    fake.mine("PUT", "accounts/7", {"name": "cloud", "dbId": 7})
    fake.mine("POST", "images/3/publications", (201, publication()))
    fake.mine("GET", "pimages/4", publication())
    fake.job(9, "done", exitCode=0)
    assert forgelet("image", "publish", "--id", "3", "--file", str(tmp_path / "b.yml")).code == 0
    assert [asked["password"] for key, asked in fake.asked if key == "PUT /api/users/root/accounts/7"] == ["corrected"]


def test_a_password_in_the_builder_file_is_not_sent(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(BUILDER.replace("account: local", "account: {type: OpenStack, name: cloud, password: secret-word}"))
    fake.mine("POST", "images/3/publications", (201, publication()))
    fake.mine("GET", "pimages/4", publication())
    fake.job(9, "done", exitCode=0)
    assert forgelet("image", "publish", "--id", "3", "--file", str(tmp_path / "b.yml")).code == 0
    assert "secret-word" not in str(fake.asked) and "cloud" in str(fake.asked)


AUTH = "auth_url: 'http://k:5000/v3', username: demo, password: 0123"


def cloud_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Any:
    (tmp_path / "clouds.yaml").write_text(f"clouds: {{lab: {{{text}}}}}\n")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    return account_of("lab")


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("auth: {auth_url: 'http://k', user_id: 0123abc, password: x, tenant_name: t}", {"userId": "0123abc", "keystoneProject": "t", "password": "x"}),
        (
            "auth_type: v3applicationcredential, auth: {auth_url: 'http://k', application_credential_name: n, application_credential_secret: s, username: me, user_domain_name: Sales}",
            {"applicationCredentialName": "n", "applicationCredentialSecret": "s", "login": "me", "keystoneDomain": "Sales"},
        ),
        (f"verify: false, auth: {{{AUTH}, project_name: p, project_domain_name: Other}}", {"insecure": "true", "projectDomain": "Other", "login": "demo", "password": "0123", "keystoneProject": "p"}),
        (f"verify: true, interface: publicURL, identity_api_version: 3, auth: {{{AUTH}}}", {"login": "demo", "password": "0123"}),
    ],
)
def test_what_says_who_logs_in_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, taken: dict[str, str]) -> None:
    told = cloud_of(tmp_path, monkeypatch, text)
    assert {key: value for key, value in told.items() if key not in ("type", "name", "keystoneUrl", "keystoneVersion")} == taken


def test_the_clouds_authority_comes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert cloud_of(tmp_path, monkeypatch, f"cacert: {tmp_path}/ca.pem, auth: {{{AUTH}}}")["caCertificate"] == "-----BEGIN CERTIFICATE-----\n"
    with pytest.raises(CommandError, match="cannot be read"):
        cloud_of(tmp_path, monkeypatch, f"cacert: {tmp_path}/none.pem, auth: {{{AUTH}}}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("profile: rackspace", "profile: cannot"),
        ("auth_type: v3token, auth: {token: t}", "auth.token: cannot"),
        ("auth_type: v3oidcpassword", "auth_type: 'v3oidcpassword' is none of"),
        ("interface: internal", "interface: 'internal': only public"),
        ("endpoint_type: adminURL", "endpoint_type: 'adminURL': only public"),
        ("cert: c.pem, key: k.pem", "cert: cannot"),
        ("compute_endpoint_override: 'http://n'", "compute_endpoint_override: cannot"),
        ("identity_api_version: 2", "identity_api_version: '2' is not 3"),
        ("auth: {trust_id: t}", "auth.trust_id: cannot"),
    ],
)
def test_what_an_account_cannot_be_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str) -> None:
    with pytest.raises(CommandError) as caught:
        cloud_of(tmp_path, monkeypatch, text)
    assert any(one.startswith(problem) for one in caught.value.problems)
