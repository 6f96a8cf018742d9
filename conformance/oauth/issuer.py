"""An issuer of tokens: a key set behind HTTPS, and three libraries that sign with its keys."""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt as pyjwt
from authlib.jose import JsonWebKey, JsonWebToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from jwcrypto import jwk, jws

AUDIENCE = "rackfish-lab"
# Every token that was made, so that the logs can be searched for them.
MADE: list[str] = []


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, which is its own authority; its file and its key's."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer of the suite")])
    now = datetime.now(timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), True).sign(key, hashes.SHA256()))
    cert_file, key_file = folder / "issuer.pem", folder / "issuer.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return cert_file, key_file


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves keys and metadata as its issuer is told to, and notes everything else."""

    owner: "Issuer"

    def do_GET(self) -> None:
        owner = self.owner
        if self.path in owner.described:
            owner.described_to += 1
            body = json.dumps(owner.described[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        if self.path != owner.place:
            owner.elsewhere.append(self.path)
            self.send_error(404)
            return
        owner.fetches += 1
        mode = owner.mode
        if mode == "slow":
            # Longer than anybody waits; bounded, so that the suite ends.
            owner.hold.wait(20)
        headers = dict(owner.headers)
        body, status = json.dumps(owner.key_set()).encode(), 200
        if mode == "down":
            body, status = b"down for maintenance", 503
        elif mode == "garbage":
            body = b"<html>log in first</html>"
        elif mode == "huge":
            body = b'{"keys":[],"padding":"' + b"x" * (4 << 20) + b'"}'
        elif mode == "redirect":
            body, status, headers = b"", 302, {"Location": f"{owner.url}/elsewhere"}
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # who has had enough hangs up

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Does not speak of clients that don't like its certificate."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


class Issuer:
    """Keys, claims, tokens; `mode` is how it serves its keys."""

    def __init__(self, folder: Path) -> None:
        self.keys: dict[str, jwk.JWK] = {}
        self.mode, self.fetches, self.elsewhere = "", 0, []
        self.place = "/keys"
        self.described: dict[str, dict] = {}  # path of a document -> what it says
        self.described_to = 0
        self.headers: dict[str, str] = {}
        self.hold = threading.Event()
        self.ca, key = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self.server = Server(("127.0.0.1", 0), type("Mine", (Handler,), {"owner": self}))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        self.name = f"{self.url}/realms/lab"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        """Lets go of everybody."""
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()

    def make(self, kid: str, alg: str) -> jwk.JWK:
        """A new key, published from now on."""
        kinds = {"R": {"kty": "RSA", "size": 2048}, "P": {"kty": "RSA", "size": 2048}, "ES256": {"kty": "EC", "crv": "P-256"},
                 "ES384": {"kty": "EC", "crv": "P-384"}, "ES512": {"kty": "EC", "crv": "P-521"}, "EdDSA": {"kty": "OKP", "crv": "Ed25519"}}
        made = jwk.JWK.generate(kid=kid, use="sig", alg=alg, **(kinds.get(alg) or kinds[alg[0]]))
        self.keys[kid] = made
        return made

    def key_set(self) -> dict:
        """What it publishes."""
        # What is shared has no public part: an issuer that publishes it all the same is a careless one.
        return {"keys": [key.export(private_key=key.is_symmetric, as_dict=True) for key in list(self.keys.values())]}

    def claims(self, **more: Any) -> dict:
        """Sound ones; `None` takes one out."""
        now = int(time.time())
        claims = {"iss": self.name, "aud": AUDIENCE, "sub": "0d9f-1", "preferred_username": "ann", "iat": now,
                  "nbf": now, "exp": now + 300, "scope": "openid rackfish.admin", **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, kid: str = "rs", by: str = "pyjwt", head: dict | None = None, key: jwk.JWK | None = None,
              **claims: Any) -> str:
        """Signed by one of the libraries, with what the key says it is for."""
        key = key or self.keys[kid]
        alg, said = key.get("alg"), self.claims(**claims)
        head = {"kid": kid, "typ": "JWT", **(head or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return remember(SIGN[by](said, head, alg, key))


def remember(token: str) -> str:
    """Notes a token for the search in the logs."""
    MADE.append(token)
    return token


def by_pyjwt(claims: dict, head: dict, alg: str, key: jwk.JWK) -> str:
    """PyJWT."""
    pem = key.export_to_pem(private_key=True, password=None)
    return pyjwt.encode(claims, pem, algorithm=alg, headers=head)


def by_authlib(claims: dict, head: dict, alg: str, key: jwk.JWK) -> str:
    """Authlib."""
    own = JsonWebKey.import_key(key.export(as_dict=True))
    return JsonWebToken([alg]).encode({**head, "alg": alg}, claims, own).decode()


def by_jwcrypto(claims: dict, head: dict, alg: str, key: jwk.JWK) -> str:
    """jwcrypto."""
    made = jws.JWS(json.dumps(claims).encode())
    made.add_signature(key, None, json.dumps({**head, "alg": alg}), None)
    return made.serialize(compact=True)


SIGN = {"pyjwt": by_pyjwt, "authlib": by_authlib, "jwcrypto": by_jwcrypto}


def coded(part: Any) -> str:
    """base64url without padding; objects as JSON."""
    raw = part if isinstance(part, bytes) else (part if isinstance(part, str) else json.dumps(part)).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(head: Any, claims: Any, signature: bytes = b"") -> str:
    """No library makes these."""
    return remember(f"{coded(head)}.{coded(claims)}.{coded(signature)}")


def confused(head: dict, claims: dict, secret: bytes) -> str:
    """A MAC with what everybody knows."""
    text = f"{coded(head)}.{coded(claims)}"
    return remember(f"{text}.{coded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}")
