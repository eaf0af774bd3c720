"""A certificate for servers on this machine, made by OpenSSL's command line."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"
OPENSSL = shutil.which("openssl")

makes_certificates = pytest.mark.skipif(OPENSSL is None, reason="there is no openssl here")


def self_signed(folder: Path) -> Path:
    """A file with a certificate that is its own authority, and with its key."""
    file, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *(str(OPENSSL), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", NAMES),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", str(key), "-out", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + key.read_bytes())
    return file


def server_side(certificate: Path) -> ssl.SSLContext:
    """What a server shows the certificate with."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context
