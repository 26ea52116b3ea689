"""A running container of the real engine, made from Debian packages without a registry, and lived in.

Its truth is established by find, sha256sum, getfattr, getfacl and getcap inside the container: tools that know nothing of ours.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

LABEL = "forgelet.test=1"
LIVE_IN = r"""
set -e
printf 'hello\n' > /etc/hello; chmod 0640 /etc/hello
mkdir -p /srv/data
printf plain > /srv/data/acl; setfacl -m u:33:rw,g:4:r /srv/data/acl
setfacl -d -m u:33:rwx /srv/data
printf tagged > /srv/data/tagged; setfattr -n user.note -v 0x00ff0a3d /srv/data/tagged
truncate -s 64M /srv/data/hole; printf island | dd of=/srv/data/hole bs=1 seek=33554432 conv=notrunc 2>/dev/null
cp /bin/true /usr/local/bin/capped; setcap cap_net_raw,cap_net_bind_service+ep /usr/local/bin/capped
cp /bin/true /usr/local/bin/setuid; chmod 4755 /usr/local/bin/setuid
printf latin > "$(printf '/srv/data/caf\351')"
printf linked > /srv/data/one; ln /srv/data/one /srv/data/two
ln -s /nowhere/at/all /srv/data/link
mkfifo -m 0600 /srv/data/fifo
mknod -m 0620 /srv/data/node c 1 3
touch -d '2001-02-03 04:05:06.123456789 UTC' /srv/data/tagged
rm /usr/share/doc/bash/copyright
printf '# changed\n' >> /etc/bash.bashrc
printf x >> /usr/share/doc/dash/copyright
printf v > /volume/inside
"""


@dataclass(frozen=True)
class LivedIn:
    """The container's name, and a way into it."""

    name: str

    def shell(self, script: str) -> bytes:
        return subprocess.run(["docker", "exec", self.name, "sh", "-c", script], capture_output=True, check=True).stdout


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, check=True, text=True).stdout.strip()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    tree = tmp_path_factory.mktemp("image") / "root.tar"
    subprocess.run(["mmdebstrap", "--variant=minbase", "--include=acl,attr,libcap2-bin", "bookworm", str(tree)], capture_output=True, check=True)
    name = f"forgelet-test-scanner:{uuid.uuid4().hex[:8]}"
    _docker("import", "-c", f"LABEL {LABEL}", str(tree), name)
    yield name
    _docker("image", "rm", "--force", name)


@pytest.fixture(scope="session")
def lived_in(image: str) -> Iterator[LivedIn]:
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    options = ["--name", name, "--label", LABEL, "--network", "none", "--cap-add", "MKNOD", "--env", "GREETING=hi there", "--expose", "8080"]
    _docker("run", "--detach", *options, "--volume", "/volume", "--restart", "unless-stopped", image, "sleep", "infinity")
    system = LivedIn(name)
    try:
        system.shell(LIVE_IN)
        yield system
    finally:
        _docker("rm", "--force", "--volumes", name)
