"""Parcels on their way, as the system tests bring them there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3
import httpx

from tests.system.shopper import Person, Town
from tradepost.kernel.clock import utc_now
from tradepost.platform import aws
from tradepost.platform.webhooks import signed_headers

WEBHOOK = "/v1/webhooks/carrier"


@dataclass
class Bought:
    """A confirmed order, its buyer, and the carrier's number of its parcel."""

    town: Town
    buyer: Person
    order_id: str
    number: str

    def advances(self, *events: str) -> None:
        """Let things befall the parcel; their webhooks wait until the town settles."""
        for event in events:
            moved = self.town.admin.post(f"/v1/simulator/parcels/{self.number}/{event}")
            assert moved.status_code == 204, moved.text

    def befalls(self, *events: str) -> None:
        self.advances(*events)
        self.town.settles()

    @property
    def shipment(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.buyer.get(f"/v1/shipments/{self.order_id}").json()
        return shown

    @property
    def status(self) -> str:
        return str(self.shipment["status"])

    @property
    def order(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.buyer.get(f"/v1/orders/{self.order_id}").json()
        return shown

    def staff(self, path: str, body: Any = None) -> httpx.Response:
        return self.town.admin.post(f"/v1/shipments/{self.order_id}/{path}", body)

    def customer(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.buyer.post(f"/v1/shipments/{self.order_id}/{path}", body, **headers)

    def hears(self, event: str, *, at: datetime, **changed: Any) -> httpx.Response:
        """Have the carrier's webhook come in, signed."""
        told = {"tracking_number": self.number, "event": event, "occurred_at": at.isoformat()}
        return sent(self.town, json.dumps({**told, **changed}))


def bought(town: Town, sku: str = "MUG", quantity: int = 2, **address: str) -> Bought:
    """Have a guest buy units of a SKU that is on sale."""
    guest = town.guest()
    accepted = guest.checks_out(guest.fills_cart(**{sku: quantity}), **address)
    assert accepted.status_code == 202, accepted.text
    town.settles()
    order_id = accepted.json()["order_id"]
    number = guest.get(f"/v1/shipments/{order_id}").json()["tracking_number"]
    return Bought(town, guest, order_id, number)


def secret(town: Town) -> str:
    return aws.secret(town.stack.outputs["CarrierWebhookSecret"])["current"]


def sent(
    town: Town, body: str, *, headers: dict[str, str] | None = None, at: datetime | None = None
) -> httpx.Response:
    """Send a webhook to the shop; signed as the carrier signs, unless headers are given."""
    if headers is None:
        headers = signed_headers(secret(town), "msg_1", body, at=at or utc_now())
    return town.http.post(
        WEBHOOK, content=body.encode(), headers={**headers, "Content-Type": "application/json"}
    )


def run(function: str, **given: Any) -> Any:
    """Invoke a function of the stack, as a timer or another context does."""
    answer = boto3.client("lambda").invoke(
        FunctionName=f"tradepost-local-{function}", Payload=json.dumps(given).encode()
    )
    return json.loads(answer["Payload"].read())
