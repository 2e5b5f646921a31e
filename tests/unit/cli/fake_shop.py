"""A shop in memory, behind httpx's mock transport, that keeps its own books.

It answers what `docs/api.md` promises for the requests the command line sends, and nothing else:
a request it does not know fails the test. What runs in the shop, a checkout, a cancelling or a
return, ends when it is asked for the second time.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import httpx

from infra.cli.books import MoneyBook, OrderBook, PaymentBook, ReturnBook, StockBook
from infra.cli.shop import Session, Shop, session_of

STAFF_EMAIL = "staff@shop.example"
STAFF_PASSWORD = "a password of the staff"

Body = dict[str, Any]


class RefusalError(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass
class _Order:
    order_id: str
    email: str
    lines: dict[str, int]
    total_minor: int
    owner: str
    status: str = "PENDING"
    reason: str | None = None
    refunds: dict[str, int] = field(default_factory=dict)
    parcel: str = "BOOKED"
    returns: dict[str, _Return] = field(default_factory=dict)

    @property
    def is_paid(self) -> bool:
        return self.status == "CONFIRMED" or self.reason == "cancelled_by_customer"

    @property
    def refunded_minor(self) -> int:
        return sum(self.refunds.values())


@dataclass
class _Return:
    return_id: str
    lines: dict[str, int]
    status: str = "REQUESTED"
    received: dict[str, int] = field(default_factory=dict)
    amount_minor: int = 0


class FakeShop:
    """Satisfies `books.Books`. Requests are answered one at a time."""

    def __init__(self) -> None:
        self.prices: dict[str, int] = {}
        self.available: dict[str, int] = {}
        self.accounts: dict[str, str] = {STAFF_EMAIL: STAFF_PASSWORD}
        self.carts: dict[str, dict[str, int]] = {}
        self.placed: dict[str, _Order] = {}
        self.answered: dict[tuple[str, str], str] = {}
        self.requests: list[tuple[str, str]] = []
        self.pauses: list[float] = []
        self.expired: set[str] = set()
        self.down_after: int | None = None  # requests until nothing answers any more
        self._tokens = 0
        self._owners: dict[str, str] = {}
        self._one_at_a_time = threading.Lock()

    def client(self) -> Shop:
        transport = httpx.MockTransport(self._answer)
        return Shop("http://shop.test", transport=transport, pause=self.pauses.append)

    def staff(self, shop: Shop) -> Session:
        return session_of(shop, STAFF_EMAIL, STAFF_PASSWORD)

    def orders(self) -> dict[str, OrderBook]:
        found = {
            key: OrderBook(key, order.email, order.status, order.total_minor, order.refunded_minor)
            for key, order in self.placed.items()
        }
        self._settle_all()
        return found

    def payments(self) -> dict[str, PaymentBook]:
        return {
            key: PaymentBook(self._money(order), self._money(order))
            for key, order in self.placed.items()
        }

    def charges(self) -> dict[str, MoneyBook]:
        return {key: self._money(order) for key, order in self.placed.items()}

    def returns(self) -> dict[str, list[ReturnBook]]:
        return {
            key: [
                ReturnBook(e.return_id, key, e.status, e.amount_minor, e.received)
                for e in order.returns.values()
            ]
            for key, order in self.placed.items()
        }

    def stock(self, skus: Collection[str]) -> dict[str, StockBook]:
        return {sku: StockBook(self.available[sku], 0) for sku in skus if sku in self.available}

    def _money(self, order: _Order) -> MoneyBook:
        captured = order.total_minor if order.is_paid else 0
        return MoneyBook(captured, order.refunded_minor)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        with self._one_at_a_time:
            self.requests.append((request.method, request.url.path))
            if self.down_after is not None and len(self.requests) > self.down_after:
                raise httpx.ConnectError("connection refused", request=request)
            try:
                return httpx.Response(200, json=self._routed(request))
            except RefusalError as refusal:
                problem = {"code": refusal.code, "detail": f"it was {refusal.code}"}
                return httpx.Response(refusal.status, json=problem)

    def _routed(self, request: httpx.Request) -> Body:
        body = json.loads(request.content) if request.content else {}
        asked = f"{request.method} {request.url.path}"
        for pattern, answer in self._routes().items():
            found = re.fullmatch(pattern, asked)
            if found:
                return answer(request, body, *found.groups())
        raise AssertionError(f"the fake shop does not know {asked}")

    def _routes(self) -> dict[str, Callable[..., Body]]:
        return {
            "POST /v1/users": self._register,
            "POST /v1/sessions": self._log_in,
            "POST /v1/guests": self._welcome,
            "POST /v1/products/batch": self._publish_many,
            "PUT /v1/products/(.+)": self._publish,
            "POST /v1/stock/batch": self._count,
            "PUT /v1/cart": self._fill_cart,
            "POST /v1/checkouts": self._check_out,
            "GET /v1/checkouts/(.+)": self._checkout,
            "GET /v1/orders/(.+)": self._order,
            "POST /v1/orders/(.+)/cancellation": self._cancel,
            "GET /v1/shipments/([^/]+)": self._parcel,
            "POST /v1/shipments/([^/]+)/(pick|dispatch|delivery)": self._scan,
            "POST /v1/shipments/([^/]+)/returns": self._ask_to_return,
            "POST /v1/shipments/([^/]+)/returns/([^/]+)/approval": self._approve,
            "POST /v1/shipments/([^/]+)/returns/([^/]+)/receipt": self._receive,
            "GET /v1/shipments/([^/]+)/returns": self._returns,
            "POST /v1/payments/(.+)/refunds": self._refund,
        }

    def _owner(self, request: httpx.Request) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in self.expired or token not in self._owners:
            raise RefusalError(401, "unauthorized")
        return self._owners[token]

    def _require_staff(self, request: httpx.Request) -> None:
        if self._owner(request) != STAFF_EMAIL:
            raise RefusalError(403, "forbidden")

    def _token_of(self, owner: str) -> Body:
        self._tokens += 1
        token = f"token-{self._tokens}"
        self._owners[token] = owner
        return {"access_token": token, "token_type": "Bearer", "expires_in": 900}

    def _register(self, _: httpx.Request, body: Body) -> Body:
        if body["email"] in self.accounts:
            raise RefusalError(409, "email_taken")
        self.accounts[body["email"]] = body["password"]
        return {"user_id": body["email"]}

    def _log_in(self, _: httpx.Request, body: Body) -> Body:
        if self.accounts.get(body["email"]) != body["password"]:
            raise RefusalError(401, "invalid_credentials")
        return self._token_of(body["email"])

    def _welcome(self, _: httpx.Request, __: Body) -> Body:
        return self._token_of(f"guest-{self._tokens}")

    def _publish_many(self, request: httpx.Request, body: Body) -> Body:
        assert len(body["products"]) <= 50
        outcomes = [self._publish(request, product) for product in body["products"]]
        return {"results": outcomes}

    def _publish(self, request: httpx.Request, body: Body, handle: str | None = None) -> Body:
        self._require_staff(request)
        for variant in body["variants"]:
            assert len(variant["option_values"]) == len(body["options"])
            self.prices[variant["sku"]] = variant["price"]["amount_minor"]
        return {"handle": handle or body["handle"], "outcome": "created"}

    def _count(self, request: httpx.Request, body: Body) -> Body:
        self._require_staff(request)
        assert 0 < len(body["lines"]) <= 100
        for line in body["lines"]:
            self.available[line["sku"]] = line["on_hand"]
        return {"results": []}

    def _fill_cart(self, request: httpx.Request, body: Body) -> Body:
        lines = {line["sku"]: line["quantity"] for line in body["lines"]}
        if any(sku not in self.prices for sku in lines):
            raise RefusalError(404, "unknown_sku")
        self.carts[self._owner(request)] = lines
        return {"lines": body["lines"]}

    def _check_out(self, request: httpx.Request, body: Body) -> Body:
        owner = self._owner(request)
        key = (owner, request.headers["Idempotency-Key"])
        if key not in self.answered:
            lines = self.carts.pop(owner)
            total = sum(self.prices[sku] * units for sku, units in lines.items())
            if body["expected_total"] != {"amount_minor": total, "currency": "GBP"}:
                raise RefusalError(409, "cart_changed")
            order_id = f"ord_{len(self.placed):026d}"
            self.placed[order_id] = _Order(order_id, body["email"], lines, total, owner)
            self.answered[key] = order_id
        return {"order_id": self.answered[key], "status": "RUNNING"}

    def _checkout(self, request: httpx.Request, _: Body, order_id: str) -> Body:
        order = self.placed[order_id]
        if order.owner != self._owner(request):
            raise RefusalError(404, "checkout_not_found")
        told = {"CONFIRMED": "CONFIRMED", "CANCELLED": "FAILED"}.get(order.status, "RUNNING")
        self.settle(order_id)
        return {"order_id": order_id, "status": told, "reason": order.reason}

    def _order(self, request: httpx.Request, _: Body, order_id: str) -> Body:
        self._require_access(request, order_id)
        self.settle(order_id)
        return {"order_id": order_id, "status": self.placed[order_id].status}

    def _refund(self, request: httpx.Request, body: Body, order_id: str) -> Body:
        self._require_staff(request)
        order = self.placed[order_id]
        refunds = {**order.refunds, request.headers["Idempotency-Key"]: self._pence(body)}
        if sum(refunds.values()) > order.total_minor:
            raise RefusalError(409, "refund_too_large")
        order.refunds = refunds
        return {"order_id": order_id, "status": "SUCCEEDED"}

    def _cancel(self, request: httpx.Request, _: Body, order_id: str) -> Body:
        self._require_access(request, order_id)
        order = self.placed[order_id]
        if order.parcel not in {"BOOKED", "LABELLED"}:
            raise RefusalError(409, "order_transition")
        if order.status == "CONFIRMED":
            order.status, order.reason = "CANCELLING", "cancelled_by_customer"
        return {"order_id": order_id, "status": order.status}

    def _parcel(self, request: httpx.Request, _: Body, order_id: str) -> Body:
        self._require_staff(request)
        told = self.placed[order_id].parcel
        if told == "BOOKED":
            self.placed[order_id].parcel = "LABELLED"
        return {"order_id": order_id, "status": told}

    def _scan(self, request: httpx.Request, _: Body, order_id: str, scan: str) -> Body:
        self._require_staff(request)
        order = self.placed[order_id]
        if order.parcel == "BOOKED" or order.status != "CONFIRMED":
            raise RefusalError(409, "shipment_transition")
        stands = ["LABELLED", "PICKED", "DISPATCHED", "DELIVERED"]
        scanned = {"pick": 1, "dispatch": 2, "delivery": 3}[scan]
        order.parcel = stands[max(scanned, stands.index(order.parcel))]
        return {"order_id": order_id, "status": order.parcel}

    def _ask_to_return(self, request: httpx.Request, body: Body, order_id: str) -> Body:
        order = self.placed[order_id]
        assert self._owner(request) == order.owner
        key = request.headers["Idempotency-Key"]
        if key not in order.returns:
            lines = {line["sku"]: line["quantity"] for line in body["lines"]}
            asked = Counter(lines)
            for earlier in order.returns.values():
                asked.update(earlier.lines)
            if order.parcel != "DELIVERED":
                raise RefusalError(409, "return_not_possible")
            if any(units > order.lines.get(sku, 0) for sku, units in asked.items()):
                raise RefusalError(409, "return_too_large")
            order.returns[key] = _Return(f"ret_{key}", lines)
        asked_for = order.returns[key]
        return {
            "return_id": asked_for.return_id,
            "order_id": order_id,
            "status": asked_for.status,
        }

    def _approve(self, request: httpx.Request, _: Body, order_id: str, return_id: str) -> Body:
        self._require_staff(request)
        asked = self._found(order_id, return_id)
        asked.status = "APPROVED" if asked.status == "REQUESTED" else asked.status
        return {"return_id": return_id, "status": asked.status}

    def _receive(self, request: httpx.Request, body: Body, order_id: str, return_id: str) -> Body:
        self._require_staff(request)
        assert all(line["condition"] == "resellable" for line in body["lines"])
        asked = self._found(order_id, return_id)
        if asked.status == "APPROVED":
            asked.received = {line["sku"]: line["quantity"] for line in body["lines"]}
            asked.status = "RECEIVED"
        return {"return_id": return_id, "status": asked.status}

    def _returns(self, request: httpx.Request, _: Body, order_id: str) -> Body:
        self._require_access(request, order_id)
        found = self.placed[order_id].returns.values()
        told = [{"return_id": each.return_id, "status": each.status} for each in found]
        for each in found:
            if each.status == "RECEIVED":
                self.restock(order_id, each)
        return {"returns": told}

    def restock(self, order_id: str, asked: _Return) -> None:
        """Bring a return to its end, as the shop's second saga would in its own time."""
        for sku, units in asked.received.items():
            self.available[sku] += units
            asked.amount_minor += units * self.prices[sku]
        self.placed[order_id].refunds[asked.return_id] = asked.amount_minor
        asked.status = "REFUNDED"

    def _found(self, order_id: str, return_id: str) -> _Return:
        (found,) = (
            each for each in self.placed[order_id].returns.values() if each.return_id == return_id
        )
        return found

    def _require_access(self, request: httpx.Request, order_id: str) -> None:
        if self._owner(request) not in {STAFF_EMAIL, self.placed[order_id].owner}:
            raise RefusalError(404, "order_not_found")

    def _pence(self, body: Body) -> int:
        assert body["amount"]["currency"] == "GBP"
        return int(body["amount"]["amount_minor"])

    def _settle_all(self) -> None:
        for order_id, order in self.placed.items():
            self.settle(order_id)
            for asked in order.returns.values():
                if asked.status == "RECEIVED":
                    self.restock(order_id, asked)

    def settle(self, order_id: str) -> None:
        """Bring a checkout or a cancelling to its end, as the shop's saga would in its own time."""
        order = self.placed[order_id]
        if order.status == "CANCELLING":
            for sku, units in order.lines.items():
                self.available[sku] += units
            order.refunds["cancelled"] = order.total_minor
            order.status = "CANCELLED"
        if order.status != "PENDING":
            return
        if any(self.available.get(sku, 0) < units for sku, units in order.lines.items()):
            order.status, order.reason = "CANCELLED", "out_of_stock"
            return
        for sku, units in order.lines.items():
            self.available[sku] -= units
        order.status = "CONFIRMED"
