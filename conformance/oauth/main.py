"""Tokens of issuers that other libraries play, on every face that takes a login."""

import http.server
import json
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import sushy
from sushy import auth

from issuer import AUDIENCE, MADE, Issuer, coded, confused, forged, remember
from lib.checks import Checks, equal, expect, until
from lib.redfish import Answer, Client
from lib.service import LOGS, WORK, Service, mistaken, rackfish, says, sound
from lib.toml import node, table

warnings.filterwarnings("ignore")
SYSTEMS, ACCOUNTS = "/redfish/v1/Systems", "/redfish/v1/AccountService/Accounts"
MAC = "02:00:00:00:00:01"
ROLES = [{"value": "rackfish.admin", "role": "Administrator"},
         {"value": "rackfish.rack1", "role": "Operator", "groups": ["rack1"]},
         {"value": "rackfish.admin1", "role": "Administrator", "groups": ["rack1"]},
         {"value": "rackfish.n2", "role": "Operator", "nodes": ["n2"]},
         {"value": "rackfish.look", "role": "ReadOnly"}]


# Accepted where the configuration names them.
RARE = ("RS384", "RS512", "PS384", "PS512", "ES512")


class BearerAuth(auth.AuthBase):
    """A token, for sushy."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def get_authentication_type(self) -> str:
        """For its log."""
        return "bearer"

    def _do_authenticate(self) -> None:
        self._connector._session.headers["Authorization"] = f"Bearer {self.token}"

    def can_refresh_session(self) -> bool:
        """Whoever made the token makes another."""
        return False


def configuration(issuer: Issuer, name: str = "sso", **keys: Any) -> str:
    """An issuer as it is configured."""
    given = {"issuer": issuer.name, "audience": AUDIENCE, "jwks_url": f"{issuer.url}/keys", "ca_file": str(issuer.ca),
             "roles": ROLES, **keys}
    return table(f"auth.oauth.{name}", **{key: value for key, value in given.items() if value is not None})


def machines() -> list[str]:
    """Two nodes in two groups, switched by a command that says nothing."""
    return [table("endpoints.relays", driver="exec", units=["a", "b"], on=["/bin/true", "{unit}"],
                  off=["/bin/true", "{unit}", "off"], off_time="100ms"),
            node("n1", feeds=["relays/a"], groups=["rack1"], macs=[MAC]),
            node("n2", feeds=["relays/b"], groups=["rack2"])]


class Walk:
    """Checks against one service."""

    def __init__(self, checks: Checks, service: Service, issuer: Issuer) -> None:
        self.check, self.service, self.issuer = checks.check, service, issuer
        self.nobody = Client(service.url, ca=str(service.ca), timeout=30)

    def ask(self, token: str, path: str = SYSTEMS, method: str = "GET", body: Any = None) -> Answer:
        """With a token."""
        return self.nobody.request(method, path, body, headers={"Authorization": f"Bearer {token}"})

    def taken(self, token: str) -> None:
        """It is accepted."""
        answer = self.ask(token)
        equal(answer.status, 200, f"status ({answer})")

    def refused(self, token: str, told: str, status: int = 401, error: str = "invalid_token") -> Answer:
        """It is not, for that reason."""
        answer = self.ask(token)
        equal(answer.status, status, f"status ({answer})")
        challenge = answer.headers.get("www-authenticate", "")
        expect(f'error="{error}"' in challenge and told in challenge, f"WWW-Authenticate is {challenge!r}")
        return answer

    def seen(self, token: str) -> list[str]:
        """Nodes that its bearer sees."""
        return [m["@odata.id"].rsplit("/", 1)[1] for m in self.ask(token).body["Members"]]

    def metric(self, name: str) -> float:
        """A number of the only issuer."""
        text = self.service.client().get("/metrics", headers={"Accept": "*/*"}).raw.decode()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"rackfish_{name}{{"))


class Tokens(Walk):
    """What is accepted and what is not."""

    def run(self) -> None:
        """All of them."""
        self.algorithms()
        self.claims()
        self.forgeries()
        self.roles()
        self.faces()
        self.explained()
        self.events()

    def algorithms(self) -> None:
        """Each library, each algorithm."""
        issuer = self.issuer
        for kid, alg, by in (("rs", "RS256", "pyjwt"), ("ps", "PS256", "jwcrypto"), ("es", "ES256", "authlib"),
                             ("es3", "ES384", "pyjwt"), ("ed", "EdDSA", "jwcrypto")):
            with self.check(f"alg.{alg}"):
                for library in {by, "pyjwt", "jwcrypto"}:
                    self.taken(issuer.token(kid, library))
                token = issuer.token(kid, by)
                head, body, signature = token.split(".")
                flipped = ("B" if signature[9] == "A" else "A").join((signature[:9], signature[10:]))
                self.refused(remember(f"{head}.{body}.{flipped}"), "the signature is wrong")
        with self.check("alg.RS512-not-configured"):
            self.refused(issuer.token("rs5"), "algorithm")
        with self.check("alg.other-than-the-keys"):
            head = {"alg": "PS256", "kid": "rs", "typ": "JWT"}
            _, body, signature = issuer.token("ps").split(".")
            self.refused(remember(f"{coded(head)}.{body}.{signature}"), "no such key")
        with self.check("kid.missing"):
            # Of the published keys one alone can have made an ES256 signature; of RSA keys there are several.
            self.taken(issuer.token("es", head={"kid": None}))
            self.taken(issuer.token("rs", head={"typ": None}))

    def claims(self) -> None:
        """Right signature, wrong token."""
        issuer, now = self.issuer, int(time.time())
        for name, told, claims in (
                ("expired", "expired", {"exp": now - 31}),
                ("not-yet-valid", "not valid yet", {"nbf": now + 90}),
                ("from-the-future", "not valid yet", {"iat": now + 90, "nbf": None}),
                ("no-end", "not a sound token", {"exp": None}),
                ("end-is-a-text", "not a sound token", {"exp": str(now + 60)}),
                ("too-long", "longer than is accepted", {"exp": now + 90_000}),
                ("wrong-audience", "somebody else", {"aud": "grafana"}),
                ("no-audience", "not a sound token", {"aud": None}),
                ("odd-audience", "not a sound token", {"aud": [AUDIENCE, 7]}),
                ("wrong-issuer", "issuer is not known", {"iss": issuer.name + "/"}),
                ("no-issuer", "not a sound token", {"iss": None}),
                ("bound-to-a-key", "bound to a key", {"cnf": {"jkt": "x"}}),
                ("no-name", "does not name its user", {"preferred_username": ""}),
        ):
            with self.check(f"claims.{name}"):
                # The libraries have opinions of their own on what they sign; jwcrypto has none.
                self.refused(issuer.token(by="jwcrypto", **claims), told)
        with self.check("claims.within-leeway"):
            self.taken(issuer.token(exp=int(time.time()) - 10))
            self.taken(issuer.token(nbf=int(time.time()) + 10, iat=int(time.time()) + 10))
        with self.check("claims.several-audiences"):
            self.taken(issuer.token(aud=["grafana", AUDIENCE]))
        with self.check("claims.access-token-type"):
            self.taken(issuer.token(head={"typ": "at+jwt"}))
            self.refused(issuer.token(head={"typ": "logout+jwt"}), "not a sound token")

    def forgeries(self) -> None:
        """What an attacker would send."""
        issuer = self.issuer
        claims, key = issuer.claims(), issuer.keys["rs"]
        with self.check("forged.alg-none"):
            import jwt as pyjwt
            tokens = [remember(pyjwt.encode(claims, None, algorithm="none", headers={"kid": "rs"}))]
            for word in ("none", "None", "NONE", "nOnE", ""):
                tokens += [forged({"alg": word, "kid": "rs"}, claims), forged({"alg": word}, claims, b"x" * 256)]
            tokens += [forged({"kid": "rs"}, claims), forged({"alg": None, "kid": "rs"}, claims),
                       forged({"alg": ["RS256"], "kid": "rs"}, claims), forged({"alg": "RS256", "kid": "rs"}, claims)]
            for token in tokens:
                equal(self.ask(token).status, 401, f"status of a token with {token.split('.')[0]}")
        with self.check("forged.hs256-with-the-public-key"):
            head = {"alg": "HS256", "kid": "rs", "typ": "JWT"}
            pem = key.export_to_pem()
            for secret in (pem, pem.strip(), json.dumps(key.export_public(as_dict=True)).encode(),
                           key.export_public().encode(), b""):
                self.refused(confused(head, claims, secret), "algorithm")
        with self.check("forged.another-key-of-that-name"):
            own = Issuer.make(Throw(), "rs", "RS256")
            self.refused(issuer.token("rs", key=own), "the signature is wrong")
        with self.check("forged.key-brought-along"):
            own = Issuer.make(Throw(), "rs", "RS256")
            public = own.export_public(as_dict=True)
            self.refused(issuer.token("rs", "jwcrypto", key=own, head={"jwk": public}), "the signature is wrong")
            self.refused(issuer.token("mine", "jwcrypto", key=own, head={"jwk": public}), "no such key")
        with self.check("forged.jku-and-x5u-never-asked"):
            own = Issuer.make(Throw(), "evil", "RS256")
            for member in ("jku", "x5u"):
                self.refused(issuer.token("evil", "jwcrypto", key=own, head={member: f"{issuer.url}/evil"}), "no such key")
                self.taken(issuer.token("rs", "jwcrypto", head={member: f"{issuer.url}/evil"}))
            equal(issuer.elsewhere, [], "addresses that a token named and that were asked")
        with self.check("forged.critical-extensions"):
            made = issuer.token("rs")
            _, body, signature = made.split(".")
            for crit in (["b64"], ["exp"], []):
                head = {"alg": "RS256", "kid": "rs", "crit": crit, "b64": True}
                self.refused(remember(f"{coded(head)}.{body}.{signature}"), "not a sound token")
        with self.check("forged.changed"):
            head, body, signature = issuer.token("rs", scope="rackfish.look").split(".")
            more = coded(issuer.claims(scope="rackfish.admin"))
            self.refused(remember(f"{head}.{more}.{signature}"), "the signature is wrong")
            for odd in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{signature}.", f"{head}..{signature}",
                        f"{head}.{body}.{signature}=", f"{head}.{body}.{signature[:-2]}", "a.b.c", ".", "..", "x"):
                equal(self.ask(odd).status, 401, f"status of {len(odd)} odd characters")
        with self.check("forged.twice-and-deep"):
            twice = json.dumps(claims)[:-1] + ', "exp": 99999999999}'
            deep = '{"iss":' * 60 + '""' + "}" * 60
            for payload in (twice, deep, "[]", "null", '"x"', "{", "\ud800".encode("utf-8", "surrogatepass")):
                self.refused(forged({"alg": "RS256", "kid": "rs"}, payload, b"x" * 256), "not a sound token")
            self.refused(forged('{"alg":"none","alg":"RS256"}', claims, b"x" * 256), "not a sound token")
        with self.check("forged.too-large"):
            self.refused(issuer.token("rs", padding="x" * 9_000), "not a sound token")
            self.taken(issuer.token("rs", padding="x" * 4_000))

    def roles(self) -> None:
        """What a token is worth."""
        issuer = self.issuer
        reset = {"ResetType": "On"}
        def on(name: str) -> str:
            return f"{SYSTEMS}/{name}/Actions/ComputerSystem.Reset"
        with self.check("role.administrator"):
            token = issuer.token()
            equal(self.seen(token), ["n1", "n2"], "nodes")
            equal(self.ask(token, on("n1"), "POST", reset).status, 204, "status of a reset")
            equal(self.ask(token, f"{ACCOUNTS}/admin").status, 200, "status of an account")
        with self.check("role.operator-of-a-group"):
            token = issuer.token(scope="rackfish.rack1")
            equal(self.seen(token), ["n1"], "nodes")
            equal(self.ask(token, f"{SYSTEMS}/n2").status, 404, "status of another group's node")
            equal(self.ask(token, on("n1"), "POST", reset).status, 204, "status of a reset")
            equal(self.ask(token, on("n2"), "POST", reset).status, 404, "status of another group's reset")
            equal(self.ask(token, f"{ACCOUNTS}/admin").status, 403, "status of an account")
        with self.check("role.scopes-unite"):
            equal(self.seen(issuer.token(scope="rackfish.rack1 rackfish.n2")), ["n1", "n2"], "nodes")
        with self.check("role.a-lower-one-adds-no-nodes"):
            token = issuer.token(scope="rackfish.look rackfish.rack1")
            equal(self.seen(token), ["n1"], "nodes")
            equal(self.ask(token, on("n2"), "POST", reset).status, 404, "status of a reset")
        with self.check("role.readonly"):
            token = issuer.token(scope=["rackfish.look"])
            equal(self.seen(token), ["n1", "n2"], "nodes")
            equal(self.ask(token, on("n1"), "POST", reset).status, 403, "status of a reset")
        with self.check("role.none"):
            for scope in ("openid", "", None, "rackfish", "rackfish.admins", "RACKFISH.ADMIN"):
                answer = self.refused(issuer.token(scope=scope), "gives no role", 403, "insufficient_scope")
                expect("role" in answer.message, f"message is {answer.message!r}")
        with self.check("name.apart-from-accounts"):
            token = issuer.token(preferred_username="admin", scope="rackfish.look")
            equal(self.ask(token, on("n1"), "POST", reset).status, 403, "status of a reset")
            equal(self.ask(token, f"{ACCOUNTS}/admin", "PATCH", {"Password": "hijacked it"}).status, 403, "status of PATCH")
            equal(self.service.client().get(SYSTEMS).status, 200, "status for the real admin")
        with self.check("name.in-the-audit-log"):
            equal(self.ask(issuer.token(), on("n1"), "POST", reset).status, 204, "status of a reset")
            until(lambda: "sso:ann" in (WORK / "audit.jsonl").read_text(), True, 5, "name in the audit log")

    def faces(self) -> None:
        """Everything that takes a login, and the clients."""
        issuer = self.issuer
        token = issuer.token()
        with self.check("face.metrics"):
            answer = self.ask(token, "/metrics")
            equal(answer.status, 200, f"status ({answer})")
            expect(b'rackfish_oauth_keys{issuer="sso"} 6' in answer.raw, "the issuer's keys are not counted")
            self_signed = forged({"alg": "none"}, issuer.claims())
            equal(self.ask(self_signed, "/metrics").status, 401, "status with alg none")
        with self.check("face.boot-hint"):
            equal(self.ask(token, f"/boot/{MAC}").status, 200, "status")
            equal(self.ask(issuer.token(scope="rackfish.n2"), f"/boot/{MAC}").status, 404, "status for another's node")
            equal(self.ask("x.y.z", f"/boot/{MAC}").status, 401, "status with no token")
        with self.check("face.challenges"):
            link = httpx.Client(verify=str(self.service.ca))
            both = link.get(self.service.url + SYSTEMS).headers.get_list("www-authenticate")
            expect(len(both) == 2 and both[0].startswith("Basic ") and both[1] == 'Bearer realm="rackfish"', f"{both}")
        with self.check("face.account-service"):
            body = self.ask(token, "/redfish/v1/AccountService").body
            equal(body["OAuth2"], {"ServiceEnabled": True, "ServiceAddresses": [f"{issuer.url}/keys"], "OAuth2Service": {
                "Issuer": issuer.name, "Audience": [AUDIENCE], "Mode": "Discovery"}}, "OAuth2")
        with self.check("client.httpx"):
            link = httpx.Client(verify=str(self.service.ca), headers={"Authorization": f"Bearer {token}"})
            equal(link.get(f"{self.service.url}{SYSTEMS}/n1").json()["Id"], "n1", "node")
            path = f"{self.service.url}{SYSTEMS}/n1/Actions/ComputerSystem.Reset"
            equal(link.post(path, json={"ResetType": "ForceOff"}).status_code, 204, "status of a reset")
        with self.check("client.sushy"):
            root = sushy.Sushy(self.service.url, auth=BearerAuth(issuer.token("es", "authlib")),
                               verify=str(self.service.ca))
            system = root.get_system(f"{SYSTEMS}/n1")
            system.reset_system(sushy.RESET_ON)
            system.refresh(force=True)
            equal(system.power_state, sushy.PowerState.ON, "power state")
        with self.check("client.polls"):
            fetches, begun = issuer.fetches, time.monotonic()
            for _ in range(200):
                self.taken(token)
            expect(time.monotonic() - begun < 10, f"200 requests took {time.monotonic() - begun:.1f} s")
            # One that a forged token with a key of its own has asked for before may only come now: ten seconds lie between two.
            expect(issuer.fetches - fetches <= 1, f"200 requests made {issuer.fetches - fetches} fetches of the keys")

    def explained(self) -> None:
        """`rackfish auth explain-token`"""
        issuer, config = self.issuer, str(self.service.config)
        def explain(token: str, status: int) -> str:
            file = WORK / "token"
            file.write_text(token + "\n")
            said = says("auth", "explain-token", str(file), "--config", config, status=status)
            expect(not any(part in said for part in token.split(".") if len(part) > 20), "it prints the token")
            return said
        with self.check("explain.accepted"):
            said = explain(issuer.token(scope="rackfish.rack1"), 0)
            for word in ("name: sso:ann", "role: Operator", "rack1", "header.alg: RS256"):
                expect(word in said, f"{word!r} is not in: {said}")
        with self.check("explain.refused"):
            for token, word in ((issuer.token(aud="grafana"), "grafana"), (forged({"alg": "none"}, {}), "none"),
                                (issuer.token(scope="x"), "sso:ann has no role here"),
                                (issuer.token(exp=int(time.time()) - 4000), "expired 4"), ("garbage", "three")):
                said = explain(token, 5)
                expect(word in said, f"{word!r} is not in: {said}")


    def events(self) -> None:
        """What goes on for longer than a request."""
        issuer = self.issuer
        def switch(name: str, kind: str) -> None:
            answer = self.service.client().reset(f"{SYSTEMS}/{name}", kind)
            equal(answer.status, 204, f"status of {kind} of {name}")
        with self.check("events.subscription"):
            receiver = Receiver()
            token = issuer.token(scope="rackfish.admin1", preferred_username="eve")
            asked = {"Destination": receiver.url, "Protocol": "Redfish", "Context": "mine"}
            made = self.ask(token, "/redfish/v1/EventService/Subscriptions", "POST", asked)
            equal(made.status, 201, f"status ({made})")
            for name in ("n2", "n1"):
                switch(name, "ForceOff")
                switch(name, "On")
            until(lambda: "Systems/n1" in receiver.text(), True, 15, "event of its node")
            expect("Systems/n2" not in receiver.text(), "it hears of a node that it does not see")
            receiver.server.shutdown()
        with self.check("events.stream-ends-with-its-token"):
            token = issuer.token(exp=int(time.time()) - 26)
            link = httpx.Client(verify=str(self.service.ca), timeout=30, headers={"Authorization": f"Bearer {token}"})
            begun = time.monotonic()
            with link.stream("GET", f"{self.service.url}/redfish/v1/EventService/SSE") as stream:
                equal(stream.status_code, 200, "status")
                with ThreadPoolExecutor(1) as crowd:
                    ended = crowd.submit(lambda: sum(1 for _ in stream.iter_bytes()))
                    time.sleep(5)
                    switch("n1", "ForceOff")
                    ended.result(25)
            expect(time.monotonic() - begun < 25, "the stream went on")


class Receiver:
    """Takes events, in the clear."""

    def __init__(self) -> None:
        bodies = self.bodies = []

        class Taker(http.server.BaseHTTPRequestHandler):
            """Keeps bodies."""

            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/events"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def text(self) -> str:
        """All that arrived."""
        return "\n".join(self.bodies)


class Throw:
    """Takes keys that nobody publishes."""

    def __init__(self) -> None:
        self.keys: dict = {}


class Unhurried(Walk):
    """An issuer that is asked every ten minutes, unless a key is missing."""

    def run(self) -> None:
        """In this order: each step waits for the least time between two fetches."""
        issuer = self.issuer
        with self.check("keys.fetched-once"):
            self.taken(issuer.token("rs"))
            equal(issuer.fetches, 1, "fetches")
        until(lambda: self.metric("oauth_keys_age_seconds") >= 10, True, 15, "age of the keys")
        with self.check("keys.unknown-one-is-fetched"):
            issuer.make("new", "ES256")
            self.taken(issuer.token("new"))
            equal(issuer.fetches, 2, "fetches")
        with self.check("keys.made-up-ones-do-not-flood"):
            own = Issuer.make(Throw(), "x", "ES256")
            tokens = [issuer.token(f"made-up-{n}", "jwcrypto", key=own) for n in range(40)]
            with ThreadPoolExecutor(8) as crowd:
                statuses = {answer.status for answer in crowd.map(self.ask, tokens)}
            equal(statuses, {401}, "statuses")
            expect(issuer.fetches <= 3, f"{issuer.fetches} fetches")
        with self.check("keys.rotation"):
            old = issuer.token("new")
            self.taken(old)
            del issuer.keys["new"]
            issuer.make("newer", "ES256")
            token = issuer.token("newer")
            until(lambda: self.ask(token).status, 200, 15, "status with the next key", pause=0.5)
            expect(issuer.fetches <= 4, f"{issuer.fetches} fetches")
        with self.check("keys.removed-one-ends-checked-tokens"):
            self.refused(old, "no such key")


class Hurried(Walk):
    """An issuer that is asked every second and is not always well."""

    def failing(self, mode: str) -> None:
        """Until it was noticed."""
        before = self.metric("oauth_fetch_failures_total")
        self.issuer.mode = mode
        until(lambda: self.metric("oauth_fetch_failures_total") > before, True, 15, f"failures while it is {mode}")

    def run(self) -> None:
        """All of them; before, its service was started while the issuer was down."""
        issuer = self.issuer
        with self.check("start.without-issuer"):
            answer = self.ask(issuer.token())
            equal((answer.status, "retry-after" in answer.headers), (503, True), f"answer ({answer})")
            equal(self.service.client().get(SYSTEMS).status, 200, "status with a password")
        with self.check("start.issuer-comes-later"):
            issuer.mode = ""
            until(lambda: self.ask(issuer.token()).status, 200, 10, "status with a token")
        for mode in ("down", "garbage", "huge", "redirect", "slow"):
            with self.check(f"issuer.{mode}"):
                self.failing(mode)
                begun = time.monotonic()
                self.taken(issuer.token())
                expect(time.monotonic() - begun < 3, f"a token took {time.monotonic() - begun:.1f} s")
        issuer.mode = ""
        issuer.hold.set()
        with self.check("issuer.well-again"):
            issuer.make("later", "RS256")
            until(lambda: self.ask(issuer.token("later")).status, 200, 15, "status with a new key")
            equal(issuer.elsewhere, [], "addresses that a redirect named")
        with self.check("issuer.takes-all-keys-back"):
            token = issuer.token("rs")
            self.taken(token)
            kept, issuer.keys = issuer.keys, {}
            until(lambda: self.ask(token).status, 401, 10, "status with a token that was checked before")
            issuer.keys = kept
            until(lambda: self.ask(token).status, 200, 10, "status when they are back")
        with self.check("issuer.weak-key"):
            from jwcrypto import jwk
            issuer.keys["weak"] = jwk.JWK.generate(kty="RSA", size=1024, kid="weak", alg="RS256", use="sig")
            issuer.keys["mac"] = jwk.JWK.generate(kty="oct", size=256, kid="mac", alg="HS256")
            until(lambda: "fewer than 2048 bits" in self.service.said(), True, 10, "a line in the log")
            self.refused(issuer.token("weak", "jwcrypto"), "no such key")
            equal(self.metric("oauth_keys"), 2, "keys in use")
        with self.check("reload.takes-a-role-away"):
            token = issuer.token("rs", scope="rackfish.look")
            self.taken(token)
            text = self.service.config.read_text()
            self.service.config.write_text(text.replace("rackfish.look", "rackfish.other"))
            until(lambda: self.ask(token).status, 403, 15, "status of a token that was checked before")


class Discovered(Walk):
    """An issuer of whose keys the configuration says nothing: its metadata does."""

    OPENID, OAUTH = "/realms/lab/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/realms/lab"

    def moves(self, place: str, path: str, **more: Any) -> str:
        """Publishes a new key elsewhere, and says so there. Returns the key's name."""
        issuer = self.issuer
        issuer.described = {path: {"issuer": issuer.name, "jwks_uri": issuer.url + place, **more}}
        kid = f"key-of-{place.strip('/')}"
        issuer.make(kid, "ES256")
        issuer.place = place
        return kid

    def run(self) -> None:
        """All of them."""
        issuer = self.issuer
        with self.check("discovery.keys-of-an-issuer"):
            until(lambda: self.ask(issuer.token()).status, 200, 15, "status with a token")
            told = self.ask(issuer.token(), "/redfish/v1/AccountService").body["OAuth2"]
            equal((told["OAuth2Service"]["Mode"], told["ServiceAddresses"]), ("Discovery", [issuer.name]), "OAuth2")
        for alg in RARE:
            with self.check(f"alg.{alg}"):
                for library in ("pyjwt", "jwcrypto"):
                    self.taken(issuer.token(alg, library))
        with self.check("discovery.metadata-are-kept"):
            before = issuer.fetches
            until(lambda: issuer.fetches >= before + 3, True, 15, "keys fetched again")
            equal(issuer.described_to, 1, "times that the metadata were asked for")
        with self.check("discovery.keys-move"):
            kid = self.moves("/moved", self.OPENID)
            until(lambda: self.ask(issuer.token(kid)).status, 200, 15, "status with a key from the new place")
        with self.check("discovery.rfc8414"):
            kid = self.moves("/elsewhere", self.OAUTH)
            until(lambda: self.ask(issuer.token(kid)).status, 200, 15, "status with a key from the new place")
        for name, told, more in (("somebody-elses", "is of the issuer", {"issuer": "https://other.example"}),
                                 ("plain", "no https URL", {"jwks_uri": "http://127.0.0.1:1/keys"})):
            with self.check(f"discovery.{name}"):
                kid = self.moves(f"/{name}", self.OPENID, **more)
                until(lambda: told in self.service.said(), True, 15, f"a line in the log that says {told!r}")
                self.refused(issuer.token(kid), "no such key")
                self.taken(issuer.token())


class Files(Walk):
    """Two issuers: one with its keys in a file, one that lists its roles elsewhere."""

    def run(self, second: Issuer) -> None:
        """All of them."""
        issuer = self.issuer
        with self.check("file.keys"):
            self.taken(issuer.token())
            body = self.ask(issuer.token(), "/redfish/v1/AccountService").body["OAuth2"]["OAuth2Service"]
            equal(body["Mode"], "Offline", "mode")
            expect('"kid":"rs"' in __import__("base64").b64decode(body["OAuthServiceSigningKeys"]).decode(), "no key")
        with self.check("two.each-its-own"):
            token = second.token(preferred_username=None, realm_access={"roles": ["ops"]})
            self.taken(token)
            equal(self.ask(token, f"{SYSTEMS}/n1/Actions/ComputerSystem.Reset", "POST", {"ResetType": "On"}).status, 204,
                  "status of a reset")
            equal(self.ask(second.token(), SYSTEMS).status, 403, "status of a scope that only the other issuer gives")
        with self.check("two.not-for-each-other"):
            self.refused(second.token("rs", iss=issuer.name), "the signature is wrong")
        with self.check("file.replaced"):
            token = issuer.token()
            self.taken(token)
            issuer.keys.clear()
            issuer.make("next", "RS256")
            (WORK / "keys.json").write_text(json.dumps(issuer.key_set()))
            until(lambda: self.ask(issuer.token("next")).status, 200, 15, "status with the new file's key")
            self.refused(token, "no such key")


def configurations(checks: Checks, issuer: Issuer, config: Service) -> None:
    """`rackfish check`, without a service."""
    sound(checks, config.config)
    with checks.check("check.all-mistakes-at-once"):
        (WORK / "empty.json").write_text('{"keys": [{"kty": "oct", "k": "AA"}]}')
        wrong = "\n".join([
            table("auth.oauth.local", issuer="https://a.example"),
            table("auth.oauth.d", issuer="urn:lab", audience="x", roles=[{"value": "x", "role": "ReadOnly"}]),
            table("auth.oauth.b", issuer="https://b.example", audience=[], jwks_url="http://b.example/keys",
                  algorithms=["HS256", "none", "RS257"], leeway="1h", roles=[{"value": "x", "role": "Root"}, {"role": "ReadOnly"}]),
            table("auth.oauth.c", issuer="https://b.example", audience="x", jwks_file=str(WORK / "empty.json"),
                  ca_file="x", audiences="y", roles=[{"value": "x", "role": "Operator", "nodes": ["a b"]}]),
        ])
        mistaken(WORK / "wrong.toml", wrong, "local", "has no audience and no roles", "no address can't be asked for its keys",
                 "auth.oauth.b.audience", "is not https", '"HS256"', '"none"', "RS256", "leeway", '"Root"', "no `value`",
                 "is the issuer of", "whoever checks with it could sign", "ca_file", "did you mean 'audience'", "c.roles.nodes")


def silent(checks: Checks, services: list[Service]) -> None:
    """No token in anything that was written."""
    with checks.check("secret.no-token-anywhere"):
        files = [file for folder in (LOGS, WORK) for file in folder.rglob("*") if file.is_file() and file.name != "token"]
        parts = {part for token in MADE for part in token.split(".")[1:] if len(part) > 40}
        expect(len(parts) > 100 and any("audit" in file.name for file in files), "there is nothing to look for")
        for file in files:
            text = file.read_bytes().decode(errors="replace")
            found = [part[:12] for part in parts if part in text]
            expect(not found, f"{len(found)} parts of tokens are in {file.name}")
        told = [service.said() for service in services[1:]] + [(WORK / "audit.jsonl").read_text()]
        expect(all("token refused" in text for text in told), "refusals are not in the log")


def main() -> int:
    checks = Checks()
    issuers = [Issuer(WORK / f"issuer-{n}") for n in range(6)]
    first, calm, shaky, filed, second, told = issuers
    for kid, alg in (("rs", "RS256"), ("ps", "PS256"), ("es", "ES256"), ("es3", "ES384"), ("ed", "EdDSA"), ("rs5", "RS512")):
        first.make(kid, alg)
    for issuer in (calm, shaky, filed, second, told):
        issuer.make("rs", "RS256")
    (WORK / "keys.json").write_text(json.dumps(filed.key_set()))
    shaky.mode = "down"
    told.described = {Discovered.OPENID: {"issuer": told.name, "jwks_uri": f"{told.url}/keys", "token_endpoint": "x"}}
    services = [Service(name) for name in ("tokens", "unhurried", "hurried", "files", "discovered")]
    algorithms = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
    services[0].configure(configuration(first, algorithms=algorithms, max_lifetime="1d"), *machines(),
                          server={"log": "trace", "audit_file": str(WORK / "audit.jsonl"),
                                  "insecure_local_event_destinations": True})
    services[1].configure(configuration(calm), *machines())
    services[2].configure(configuration(shaky, refresh="1s"), *machines())
    services[3].configure(
        configuration(filed, jwks_url=None, ca_file=None, jwks_file=str(WORK / "keys.json")),
        configuration(second, "two", roles_claim="realm_access.roles", name_claim="sub",
                      roles=[{"value": "ops", "role": "Operator"}]), *machines())
    for alg in RARE:
        told.make(alg, alg)
    services[4].configure(configuration(told, jwks_url=None, refresh="1s", algorithms=["RS256", "ES256", *RARE]), *machines())
    configurations(checks, first, services[0])
    try:
        with ThreadPoolExecutor(5) as crowd:
            list(crowd.map(Service.start, services))
            walks = [Unhurried(checks, services[1], calm).run, Hurried(checks, services[2], shaky).run,
                     Tokens(checks, services[0], first).run, Discovered(checks, services[4], told).run, lambda: Files(checks, services[3], filed).run(second)]
            for walk in [crowd.submit(walk) for walk in walks]:
                walk.result()
    finally:
        for service in services:
            service.end()
        for issuer in issuers:
            issuer.end()
    silent(checks, services)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
