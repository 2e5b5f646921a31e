"""People at the shop, as the system tests speak of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from infra.local.stack import LocalStack

ADDRESS = {
    "name": "Grace Guest",
    "line1": "1 Harbour Road",
    "city": "Whitby",
    "postal_code": "YO21 1AA",
    "country": "GB",
}

PASSWORD = "a long enough password"

_numbers = itertools.count(1)


@dataclass
class Person:
    """Somebody with a token. Answers are httpx responses; `.json()` is what they say."""

    http: httpx.Client
    token: str | None

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        return self.http.request(method, path, json=body, headers=sent)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.send("GET", path, **headers)

    def put(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.send("PUT", path, body, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.send("POST", path, body, **headers)

    def delete(self, path: str, **headers: str) -> httpx.Response:
        return self.send("DELETE", path, **headers)

    def fills_cart(self, **quantities: int) -> int:
        """Put these SKUs in the cart (`_` stands for `-`); return the total in minor units."""
        lines = [
            {"sku": sku.replace("_", "-"), "quantity": quantity}
            for sku, quantity in quantities.items()
        ]
        answer = self.put("/v1/cart", {"lines": lines})
        assert answer.status_code == 200, answer.text
        total: int = answer.json()["total"]["amount_minor"]
        return total

    def checks_out(
        self,
        total_minor: int,
        *,
        key: str | None = None,
        method: str = "pm_card_ok",
        **address: str,
    ) -> httpx.Response:
        body = {
            "email": "grace@example.com",
            "shipping_address": {**ADDRESS, **address},
            "payment_method": method,
            "expected_total": {"amount_minor": total_minor, "currency": "GBP"},
        }
        return self.post("/v1/checkouts", body, Idempotency_Key=key or f"key-{next(_numbers)}")


@dataclass
class Town:
    """The shop, its staff, and whoever comes in."""

    stack: LocalStack
    http: httpx.Client
    admin: Person
    nobody: Person

    def guest(self) -> Person:
        return Person(self.http, self.nobody.post("/v1/guests").json()["access_token"])

    def customer(self) -> Person:
        email = f"customer{next(_numbers)}@example.com"
        return Person(self.http, registered(self.nobody, email)["access_token"])

    def sells(self, sku: str, *, on_hand: int, amount_minor: int = 1250) -> None:
        """Put a product on sale, with stock, and let the news of it arrive."""
        product = {
            "title": f"Product {sku}",
            "variants": [
                {
                    "sku": sku,
                    "price": {"amount_minor": amount_minor, "currency": "GBP"},
                    "weight_grams": 300,
                }
            ],
        }
        assert self.admin.put(f"/v1/products/{sku.lower()}", product).status_code == 200
        self.stocks(sku, on_hand)
        self.stack.drain()

    def stocks(self, sku: str, on_hand: int) -> None:
        count = {"on_hand": on_hand, "reason": "test"}
        assert self.admin.put(f"/v1/stock/{sku}/count", count).status_code == 200

    def settles(self) -> None:
        """Wait until nothing moves: checkouts, events, mails."""
        self.stack.drain()

    def passes(self, **time: float) -> None:
        """Let time pass: `days=7`. The administrator, whose token expires, logs in again."""
        self.stack.advance(timedelta(**time))
        self.admin = Person(self.http, logged_in(self.nobody, "admin@example.com")["access_token"])

    def level(self, sku: str) -> tuple[int, int]:
        """Tell how many units are available and held."""
        level = self.admin.get(f"/v1/stock/{sku}/levels").json()
        return level["available"], level["held"]

    def payment(self, order_id: str) -> dict[str, Any]:
        payment: dict[str, Any] = self.admin.get(f"/v1/payments/{order_id}").json()
        return payment


def registered(anyone: Person, email: str) -> dict[str, Any]:
    """Open an account and log in; return the session."""
    body = {"email": email, "password": PASSWORD, "name": "Test Person"}
    assert anyone.post("/v1/users", body).status_code == 201
    return logged_in(anyone, email)


def logged_in(anyone: Person, email: str) -> dict[str, Any]:
    """Begin a session of somebody who is registered."""
    answer = anyone.post("/v1/sessions", {"email": email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    session: dict[str, Any] = answer.json()
    return session
