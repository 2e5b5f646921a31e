"""People at the simulated shop, who send a request again until they know what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from infra.local.gateway import Request
from tests.simulation.world.world import World

ADDRESS = {
    "name": "Grace Guest",
    "line1": "1 Harbour Road",
    "city": "Whitby",
    "postal_code": "YO21 1AA",
    "country": "GB",
}
EMAIL = "grace@example.com"
PASSWORD = "a long enough password"

# A page that gets no answer tries again, some times and with a pause; then it tells its reader.
ATTEMPTS_MAX = 6
_PAUSE_SECONDS = 2.0
_NO_ANSWER = 500
_TOKEN_SECONDS = 800


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    text: str

    @property
    def told(self) -> Any:
        return json.loads(self.text) if self.text else None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token, or with none."""

    world: World
    token: str | None = None

    def send(
        self, method: str, path: str, body: Any = None, *, text: str = "", **headers: str
    ) -> Reply:
        """Send a request once: `body` as JSON, or `text` as it is."""
        sent = {"content-type": "application/json", "host": "shop"}
        sent |= {name.replace("_", "-").lower(): text for name, text in headers.items()}
        if self.token is not None:
            sent["authorization"] = f"Bearer {self.token}"
        content = text if body is None else json.dumps(body)
        path, _, query = path.partition("?")
        answer = self.world.gateway.handle(
            Request(method, path, query, sent, content.encode(), "192.0.2.1")
        )
        return Reply(answer.status, answer.body.decode())

    def insists(self, method: str, path: str, body: Any = None, **told: str) -> Reply:
        """Send a request until it is answered: 5xx, or nothing at all, says nothing."""
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                self.world.turns.sleep(_PAUSE_SECONDS)
            reply = self.send(method, path, body, **told)
            if reply.status < _NO_ANSWER:
                return reply
        return reply

    def get(self, path: str) -> Any:
        reply = self.send("GET", path)
        assert reply.status == 200, (path, reply)
        return reply.told


class _Session:
    """Tokens, and the history in which they were had."""

    def __init__(self, world: World, told: Any) -> None:
        self.person = Person(world, told["access_token"])
        self.refresh_token: str = told["refresh_token"]
        self.began = world.clock.now()
        self.history = world.history


class Town:
    """A shop with staff and goods, in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.nobody = Person(world)
        self._first = self._latest = _Session(world, self._staff_session())
        self.admin = self._first.person

    def admin_again(self) -> Person:
        """Give the admin with a token that is good: one lives for a quarter of an hour."""
        if self._latest.history != self.world.history:
            self._latest = self._first
        if self.world.clock.now() - self._latest.began >= _TOKEN_SECONDS:
            asked = {"refresh_token": self._latest.refresh_token, "nonce": "a" * 32}
            reply = self.nobody.send("POST", "/v1/sessions/refresh", asked)
            assert reply.status == 200, reply
            self._latest = _Session(self.world, reply.told)
        return self._latest.person

    def _staff_session(self) -> Any:
        who = {"email": "admin@example.com", "password": PASSWORD}
        self.nobody.send("POST", "/v1/users", {**who, "name": "Admin"})
        granted = self.world.runtime.invoke(
            "users-grant_role", {"email": who["email"], "role": "admin", "vouched": True}
        )
        assert granted.error is None, granted
        return self.nobody.send("POST", "/v1/sessions", who).told

    def guest(self) -> Person:
        return Person(self.world, self.nobody.send("POST", "/v1/guests").told["access_token"])

    def sells(self, sku: str, *, on_hand: int, amount_minor: int = 1250) -> None:
        """Put a product on sale, with stock, and let the news of it arrive."""
        price = {"amount_minor": amount_minor, "currency": "GBP"}
        product = {
            "title": f"Product {sku}",
            "variants": [{"sku": sku, "price": price, "weight_grams": 300}],
        }
        count = {"on_hand": on_hand, "reason": "opening"}
        for path, body in (
            (f"/v1/products/{sku.lower()}", product),
            (f"/v1/stock/{sku}/count", count),
        ):
            reply = self.admin.send("PUT", path, body)
            assert reply.status == 200, (path, reply)
        self.world.drain()
