"""`forgelet serve --tls`: the real service, its own certificate, and a client that checks it."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emulator.certificate import certificate
from tests.support.service import FORGELET, until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    data = tmp_path / "data"
    with subprocess.Popen([*FORGELET, "serve", "--tls", "--port", "0", "--data", str(data)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = re.search(r"https://\S+/api", process.stdout.readline())
            assert said
            yield said[0], data / "tls" / "certificate.pem"
        finally:
            process.terminate()
            process.wait(15)


def forgelet(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FORGELET, *argv], capture_output=True, text=True, timeout=60, check=False)


def test_the_client_trusts_the_certificate_that_it_is_given(served: tuple[str, Path]) -> None:
    url, certificate = served
    context = ssl.create_default_context(cafile=str(certificate))
    until(lambda: _answers(url, context))
    refused = forgelet("user", "info", "--url", url)
    assert refused.returncode == 3
    assert "--ca" in refused.stderr
    for trust in (("--ca", str(certificate)), ("--insecure",)):
        done = forgelet("user", "info", "--url", url, *trust)
        assert done.returncode == 0, done.stderr
        assert "| root  |" in done.stdout
    assert certificate.with_name("key.pem").stat().st_mode & 0o777 == 0o600


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(f"{url}/status", auth=("root", "forgelet"), verify=context, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_certificate_is_kept_until_it_must_change(tmp_path: Path) -> None:
    made, _ = certificate(tmp_path, "127.0.0.1")
    first = made.read_bytes()
    certificate(tmp_path, "127.0.0.1")
    assert made.read_bytes() == first
    certificate(tmp_path, "forge.example")
    assert made.read_bytes() != first
