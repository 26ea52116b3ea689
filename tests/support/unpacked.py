"""Programs of Debian packages that are unpacked, not installed: a MariaDB and a RabbitMQ for one test run, on loopback and sockets only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARIADB = ("mariadb-server-core", "mariadb-server", "mariadb-client-core", "mariadb-common", "libmariadb3", "libaio1", "liburing2", "libnuma1")
ERLANG = ["base", "asn1", "crypto", "public-key", "mnesia", "runtime-tools", "ssl", "eldap", "ftp", "tftp", "inets", "snmp", "os-mon", "parsetools", "syntax-tools", "tools", "xmerl"]
RABBITMQ = (*(f"erlang-{part}" for part in ERLANG), "rabbitmq-server")
DISCS = ("genisoimage",)


def unpack(folder: Path, names: Sequence[str]) -> Path:
    """The root with the packages, made when it is not there: they come from where this machine's apt gets its own."""
    root = folder / "root"
    if not (folder / ".complete").exists():
        (folder / "debs").mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", "-q", *names], cwd=folder / "debs", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for package in sorted((folder / "debs").glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
            package.unlink()
        # Debian's erl knows only its own place.
        erl = root / "usr/lib/erlang/bin/erl"
        erl.write_text(erl.read_text().replace("=/usr/lib/erlang", f"={root}/usr/lib/erlang"))
        (folder / ".complete").touch()
    return root


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(condition: Callable[[], bool], what: str, log: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come up: {log.read_text(errors='replace')[-2000:]}"
        time.sleep(0.1)


@dataclass
class Daemons:
    """Processes that were started here, in sessions of their own, and end in the opposite order."""

    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, argv: Sequence[str], log: Path, environment: dict[str, str]) -> None:
        with log.open("ab") as out:
            self.running[name] = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def end(self, name: str, patience: float = 30) -> None:
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        for name in reversed(list(self.running)):
            self.end(name)


def start_mariadb(root: Path, folder: Path, daemons: Daemons) -> Path:
    """A MariaDB without any network; its socket, for root without a password."""
    folder.mkdir()
    log, place = folder / "log", folder / "data"
    install = [str(root / "usr/bin/mariadb-install-db"), "--no-defaults", f"--basedir={root}/usr", f"--datadir={place}", "--user=root"]
    environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu"}
    with log.open("wb") as out:
        subprocess.run([*install, "--auth-root-authentication-method=normal", "--skip-test-db"], env=environment, stdout=out, stderr=out, check=True)
    spare = ["--skip-networking", "--innodb-buffer-pool-size=64M", "--skip-log-bin", "--performance-schema=OFF"]
    argv = [str(root / "usr/sbin/mariadbd"), "--no-defaults", "--user=root", f"--basedir={root}/usr", f"--datadir={place}", f"--socket={folder}/socket", *spare]
    daemons.start("mariadb", argv, log, environment)
    wait((folder / "socket").exists, "MariaDB", log)
    return folder / "socket"


def make_databases(root: Path, at: Path, names: Sequence[str]) -> None:
    text = "".join(f"create database {name} character set utf8mb3;" for name in names)
    environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu"}
    subprocess.run([str(root / "usr/bin/mariadb"), "--no-defaults", "-u", "root", "-S", str(at), "-e", text], env=environment, check=True)


def start_rabbitmq(root: Path, folder: Path, daemons: Daemons) -> int:
    """A RabbitMQ that may not be up yet; its port on 127.0.0.1."""
    folder.mkdir()
    erlang, home = root / "usr/lib/erlang", next((root / "usr/lib/rabbitmq/lib").iterdir())
    port, names, peers = free_port(), free_port(), free_port()
    environment = {
        "PATH": f"{erlang}/bin:{os.environ['PATH']}",
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        "SYS_PREFIX": str(folder),
        **{
            f"RABBITMQ_{key}": str(value)
            for key, value in {
                "HOME": home,
                "MNESIA_BASE": folder / "mnesia",
                "LOG_BASE": folder / "log",
                "NODENAME": "forgelet@localhost",
                "NODE_IP_ADDRESS": "127.0.0.1",
                "NODE_PORT": port,
                "DIST_PORT": peers,
                "ENABLED_PLUGINS_FILE": folder / "plugins",
                "CONFIG_FILE": folder / "rabbitmq",
                "CONF_ENV_FILE": os.devnull,
                "SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            }.items()
        },
    }
    # Erlang's register of names; what RabbitMQ would start by itself would outlive it.
    daemons.start("epmd", [str(erlang / "bin/epmd"), "-address", "127.0.0.1", "-port", str(names)], folder / "epmd.out", environment)
    wait(lambda: answers(names), "epmd", folder / "epmd.out")
    daemons.start("rabbitmq", ["sh", str(home / "sbin/rabbitmq-server")], folder / "out", environment)
    return port
