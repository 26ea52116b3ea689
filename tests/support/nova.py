"""A real Nova (libvirt driver, emulated processors) and a real Placement beside the real Keystone and Glance; only Neutron is a stand-in.

Facts that shape this (found by running them): SQLite does not do for several writers, so all of it is on MariaDB; nova-compute must have
registered before its host can be mapped to the cell; libvirt runs machines as a user of its own, who must be able to get to their disks;
nova-compute takes long to end, and two of one host must never run at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support import unpacked
from support.openstack import ROOT, Openstack
from support.unpacked import Daemons

from emulator.lab.openstack import PASSWORD, free_port, make

REQUIREMENTS = ROOT / "tests/nova/requirements.txt"
DATABASES = ("keystone", "glance", "placement", "nova_api", "nova", "nova_cell0")
WSGI = {"placement": "placement.wsgi.api:application", "nova": "nova.wsgi.osapi_compute:application"}
AUTH = """auth_type = password
auth_url = {keystone}
username = nova
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
region_name = RegionOne
"""
PLACEMENT = """\
[DEFAULT]
log_file = {folder}/placement.log
[placement_database]
connection = {placement_db}
[api]
auth_strategy = keystone
[keystone_authtoken]
{auth}
"""
NOVA = """\
[DEFAULT]
state_path = {folder}
instances_path = {folder}/instances
transport_url = rabbit://guest:guest@127.0.0.1:{rabbitmq}/
compute_driver = libvirt.LibvirtDriver
host = forgelet-test
my_ip = 127.0.0.1
force_config_drive = true
mkisofs_cmd = {mkisofs}
graceful_shutdown_timeout = 3
manager_shutdown_timeout = 2
report_interval = 5
reserved_host_memory_mb = 0
reserved_host_disk_mb = 0
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
[api]
auth_strategy = keystone
[api_database]
connection = {nova_api_db}
[database]
connection = {nova_db}
[keystone_authtoken]
{auth}
[service_user]
send_service_user_token = true
{auth}
[placement]
{auth}
[neutron]
endpoint_override = http://127.0.0.1:{neutron}
{auth}
[glance]
region_name = RegionOne
[oslo_concurrency]
lock_path = {folder}/lock
[libvirt]
virt_type = qemu
cpu_mode = none
[nova_sys_admin]
helper_command = {venv}/bin/privsep-helper --config-file {folder}/nova.conf
[vnc]
enabled = false
[spice]
enabled = false
[scheduler]
workers = 1
[conductor]
workers = 1
[oslo_messaging_rabbit]
heartbeat_timeout_threshold = 0
"""


def install() -> Path:
    """The folder with `bin/`; made when it is not there."""
    done = subprocess.run([str(ROOT / "scripts/openstack.sh"), str(REQUIREMENTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"Nova could not be installed:\n{done.stderr}"
    return Path(done.stdout.strip())


@dataclass
class Compute(Openstack):
    """The cloud of `Openstack`, with Nova. `state` must be a folder that libvirt's own user may enter."""

    packages: Path = Path()
    """Where Debian packages are unpacked; kept from run to run."""
    daemons: Daemons = field(default_factory=Daemons)
    threads: int = 4

    def __post_init__(self) -> None:
        self.ports |= {name: free_port() for name in ("placement", "nova", "neutron")}
        self.wsgi |= WSGI

    def connection(self, name: str) -> str:
        return f"mysql+pymysql://root@localhost/{name}?unix_socket={self.state}/mariadb/socket"

    def start(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        root = unpacked.unpack(self.packages, (*unpacked.MARIADB, *unpacked.RABBITMQ, *unpacked.DISCS))
        rabbitmq = unpacked.start_rabbitmq(root, self.state / "rabbitmq", self.daemons)
        at = unpacked.start_mariadb(root, self.state / "mariadb", self.daemons)
        unpacked.make_databases(root, at, DATABASES)
        super().start()
        self._write(rabbitmq, root)
        self._nova_catalogue()
        self._run("placement-manage", "--config-file", str(self.state / "placement/placement.conf"), "db", "sync")
        for words in (("api_db", "sync"), ("cell_v2", "map_cell0", "--database_connection", self.connection("nova_cell0")), ("cell_v2", "create_cell", "--name", "cell1"), ("db", "sync")):
            self._manage(*words)
        unpacked.wait(lambda: unpacked.answers(rabbitmq), "RabbitMQ", self.state / "rabbitmq/out")
        self.daemons.start("neutron", [sys.executable, str(Path(__file__).with_name("neutron.py")), str(self.ports["neutron"])], self.state / "neutron.out", self._environment())
        self.serve("placement", self.threads)
        self.serve("nova", self.threads)
        for name in ("conductor", "scheduler", "compute"):
            argv = [str(self.venv / f"bin/nova-{name}"), "--config-file", str(self.state / "nova/nova.conf")]
            self.daemons.start(f"nova-{name}", argv, self.state / f"nova/{name}.log", self._environment())
        self._map()

    def close(self) -> None:
        try:
            for name in ("nova-compute", "nova-scheduler", "nova-conductor"):
                if name in self.daemons.running:
                    self.daemons.end(name)
            for name in list(self.running):
                self.end(name)
        finally:
            self.daemons.close()
            shutil.rmtree(self.state, ignore_errors=True)

    def _write(self, rabbitmq: int, root: Path) -> None:
        auth = AUTH.format(keystone=self.keystone, password=PASSWORD)
        for name in ("placement", "nova", "nova/instances", "nova/lock"):
            (self.state / name).mkdir(exist_ok=True)
        told: Mapping[str, object] = {
            "auth": auth,
            "venv": self.venv,
            "rabbitmq": rabbitmq,
            "neutron": self.ports["neutron"],
            "mkisofs": root / "usr/bin/genisoimage",
            **{f"{name}_db": self.connection(name) for name in DATABASES},
        }
        for name, text in (("placement", PLACEMENT), ("nova", NOVA)):
            (self.state / name / f"{name}.conf").write_text(text.format(folder=self.state / name, **told))
        shutil.copy(self.venv / "etc/nova/api-paste.ini", self.state / "nova")

    def _nova_catalogue(self) -> None:
        services = {"placement": ("placement", ""), "nova": ("compute", "/v2.1"), "neutron": ("network", "")}
        with self.catalogue() as http:
            roles = {one["name"]: one["id"] for one in http.get("roles").json()["roles"]}
            project = http.get("projects", params={"name": "service"}).json()["projects"][0]["id"]
            user = make(http, "user", name="nova", password=PASSWORD, domain_id="default")
            for role in ("admin", "service"):
                assert http.put(f"projects/{project}/users/{user}/roles/{roles[role]}").status_code == 204
            for name, (kind, path) in services.items():
                made = make(http, "service", name=name, type=kind)
                for interface in ("public", "internal"):
                    make(http, "endpoint", service_id=made, interface=interface, region_id="RegionOne", url=f"http://127.0.0.1:{self.ports[name]}{path}")

    def _manage(self, *words: str) -> str:
        return self._run("nova-manage", "--config-file", str(self.state / "nova/nova.conf"), *words)

    def _map(self) -> None:
        """The compute host into the cell, as soon as it has registered."""
        deadline = time.monotonic() + 120
        while "forgelet-test" not in self._manage("cell_v2", "discover_hosts", "--verbose"):
            log = self.state / "nova/compute.log"
            assert time.monotonic() < deadline, f"nova-compute did not register: {log.read_text(errors='replace')[-3000:]}"
            time.sleep(1)


def packages() -> Path:
    """Where Debian packages are unpacked for these tests: beside what scripts/openstack.sh installs."""
    data = os.environ.get("FORGELET_DATA") or f"{os.environ.get('XDG_DATA_HOME') or Path.home() / '.local/share'}/forgelet"
    return Path(data) / "cache/openstack-packages"
