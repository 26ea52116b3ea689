"""What fails, and what is not there: the exit status and the text that PROTOCOL (section 13) gives, and a service that is as it was.

Builds that fail are in `test_templates.py`, whose service has the packages' indexes already.
"""

from __future__ import annotations

from typing import Any

import pytest
from support.hammr import Hammr
from support.planted import planted_image, planted_template, planted_tree
from support.service import Service

pytestmark = pytest.mark.hammr

BASE = "/api/users/root"
KINDS = ("accounts", "appliances", "deployments", "images", "migrations", "mysoftware", "pimages", "scannedinstances?includeScans=true")
BUILDER = "{type: OpenStack QCOW2, account: {name: local}, displayName: x, tenantName: demo, keystoneDomain: d, keystoneProject: p, %s}"
BUILDER %= "installation: {diskSize: 3000}, hardwareSettings: {memory: 1024}"
TEMPLATE = "{name: web, version: '1', os: {name: Debian, version: '12', arch: x86_64}}"
MIGRATION = "migration: {name: m, os: linux, source: {host: 127.0.0.1, user: root, password: p}, target: {builder: %s}}"
FILES = {
    "builder.yml": f"builders: [{BUILDER}]\n",
    "unknown.yml": f"builders: [{BUILDER.replace('OpenStack QCOW2', 'Nimbus')}]\n",
    "stack.yml": f"stack: {TEMPLATE}\n",
    "broken.yml": "stack: {name: [\n",
    "nimbus.yml": "accounts: [{type: Nimbus, name: n}]\n",
    "bundle.yml": "{name: tools, version: '1.0', files: [{name: curl, source: curl, tag: ospkg}]}\n",
    "nobody.yml": MIGRATION % BUILDER.replace("local", "nobody"),
    "deploy.yml": "provisioner: {name: a, region: r, network: n, flavor: f}\n",
    "garbage.tar.gz": "none\n",
}


@pytest.fixture(scope="module")
def known(service: Service, hammr: Hammr, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the words of the tests stand for: the files in hammr's folder, the scan, its image, a template and a bundle."""
    for name, text in FILES.items():
        (hammr.home / name).write_text(text)
    image = planted_image(service, planted_tree(tmp_path_factory.mktemp("planted")), "qcow2", "OpenStack QCOW2")
    hammr("bundle", "create", "--file", "bundle.yml")
    (bundle,) = service.http.get(f"{BASE}/mysoftware").json()["mySoftwareList"]["mySoftware"]
    scan = image["parentUri"].rpartition("/")[2]
    return {"image": image["dbId"], "scan": scan, "template": planted_template(service)["dbId"], "bundle": bundle["dbId"]}


def everything(service: Service) -> dict[str, Any]:
    """All that the user has, as JSON tells it."""
    return {kind: service.http.get(f"{BASE}/{kind}").json() for kind in KINDS}


@pytest.mark.parametrize(
    ("stage", "command", "status", "said"),
    [
        ("scan-import.copy", "scan import --id {scan} --name n --version 1", 0, "Importing error: "),
        ("publish.check", "image publish --id {image} --file builder.yml", 0, "Publication to 'local' error: "),
        ("export.pack", "template export --id {template} --file never.tar.gz", 0, "Export error: "),
        ("bundle-export.pack", "bundle export --id {bundle} --file never.tar.gz", 0, "Export error: "),
        ("import.read", "template create --file stack.yml", 2, "Template create: "),
    ],
)
def test_a_job_that_fails_is_told_with_its_cause(hammr: Hammr, service: Service, known: dict[str, Any], stage: str, command: str, status: int, said: str) -> None:
    service.fault(stage, "fail")
    text = hammr(*command.format_map(known).split(), status=status).text
    job = service.newest_job()
    assert (job["stage"], service.job(job["dbId"])["state"]) == (stage, "failed")
    assert said in text
    assert f"a fault was set at stage {stage}" in text
    assert not (hammr.home / "never.tar.gz").exists()


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("account delete --id 999 --no-confirm", 2, "account 999"),
        ("account create --file missing.yml", 2, "error downloading missing.yml"),
        ("account create --file nimbus.yml", 2, "Platform type unknown: Nimbus"),
        ("scan build --id 999 --file builder.yml", 0, "Impossible to generate this scan"),
        ("scan build --id {scan} --file missing.yml", 2, "error downloading missing.yml"),
        ("scan build --id {scan} --file unknown.yml", 2, "Builder type unknown: Nimbus"),
        ("scan import --id 999 --name n --version 1", 0, "Import scan id [999]"),
        ("template build --id 999 --file builder.yml", 0, "No template found"),
        ("template export --id 999", 2, "template 999"),
        ("template clone --id 999 --name n --version 1", 2, "template 999"),
        ("template import --file garbage.tar.gz", 2, "Template import: "),
        ("image download --id 999 --file never", 0, "Unable to find the image to download"),
        ("image info --id 999", 2, "doesn't exist"),
        ("image deploy --publish-id 999 --file deploy.yml", 2, "ublished image"),
        ("deploy terminate --id 999 --force", 2, "999"),
        ("migration launch --file nobody.yml", 0, "nobody"),
        ("migration delete --id 999 --no-confirm", 2, "999"),
        ("os search --id 999 --pkg bash", 2, "distribution 999"),
    ],
)
def test_what_is_not_there_is_told_and_changes_nothing(hammr: Hammr, service: Service, known: dict[str, Any], command: str, status: int, said: str) -> None:
    before = everything(service)
    assert said in hammr(*command.format_map(known).split(), status=status).text
    assert everything(service) == before
    assert not (hammr.home / "never").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("template create --file broken.yml", "in \"broken.yml\", line 2"),
        ("scan run --ip 127.0.0.1 --scan-port 9 --scan-login root --scan-password p --name closed", "Caught exception when uploading binary"),
    ],
)
def test_where_the_client_itself_breaks_the_service_stays_whole(hammr: Hammr, service: Service, known: dict[str, Any], command: str, said: str) -> None:
    """Tracebacks of hammr's own: it catches neither."""
    before = everything(service)
    assert said in hammr(*command.split(), status=2, traceback=True).text
    assert everything(service) == before
