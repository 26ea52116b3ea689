"""The service's own certificate for TLS: signed by itself, made once, kept in the data folder (the key with mode 0600)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.host import clock

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, GeneralName

VALID = timedelta(days=825)
SOON = timedelta(days=30)
"""With less than this left, a new one is made."""


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """The files of certificate and key in `folder`, good for `host`, this machine's name and loopback."""
    folder.mkdir(mode=0o700, exist_ok=True)
    made, key = folder / "certificate.pem", folder / "key.pem"
    names = sorted({"localhost", "127.0.0.1", "::1", socket.gethostname(), host} - {"", "0.0.0.0", "::"})
    if not (made.is_file() and key.is_file() and _good(made, names)):
        _make(made, key, names)
    return made, key


def _good(made: Path, names: list[str]) -> bool:
    from cryptography import x509

    found: Certificate = x509.load_pem_x509_certificate(made.read_bytes())
    told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(_general(names)) <= set(told) and clock.real() + SOON < found.not_valid_after_utc


def _general(names: list[str]) -> list[GeneralName]:
    from cryptography import x509

    found: list[GeneralName] = []
    for name in names:
        with contextlib.suppress(ValueError):
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        # Addresses too: the real client's HTTP library looks for them among the names only.
        found.append(x509.DNSName(name))
    return found


def _make(made: Path, key: Path, names: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    # RSA, since the real client's Python 2.7 may have an OpenSSL that knows no more.
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Forgelet")])
    now = clock.real()
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    plain = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(plain)
    made.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
