"""Every route, and for each with a body one that it takes."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.contract.project import specs
from tradepost.platform.auth import PUBLIC, Role
from tradepost.platform.service import RouteSpec

ROUTES = {(spec.method, spec.path): spec for _, spec in specs()}
CONTEXT_OF = {(spec.method, spec.path): context for context, spec in specs()}

# Objects that exist nowhere, so that a request which is let in changes nothing.
NOWHERE = {
    "handle": "no-such-product",
    "slug": "no-such-category",
    "picture_id": "pic_nosuchpicture",
    "sku": "NO-SUCH-SKU",
    "order_id": "ord_nosuchorder",
    "claim_id": "clm_nosuchclaim",
    "return_id": "ret_nosuchreturn",
    "tracking_number": "trk_nosuchparcel",
    "event": "collected",
    "reference": "sim_nosuchcharge",
    "number": "1",
    "endpoint_id": "whe_nosuchendpoint",
    "event_id": "evt_nosuchevent",
    "address_id": "adr_nosuchaddress",
    "key_id": "key_nosuchkey",
    "code": "NO-SUCH-CODE",
    "country": "ZZ",
}

_MONEY = {"amount_minor": 1250, "currency": "GBP"}
_PRODUCT = {
    "title": "Mug",
    "description": "Holds tea.",
    "vendor": "Whitby Pottery",
    "categories": ["kitchen"],
    "tags": ["blue"],
    "attributes": {"material": "clay"},
    "images": [{"url": "https://example.com/mug.png", "alt": "A mug"}],
    "options": ["Size"],
    "variants": [
        {
            "sku": "MUG-L",
            "option_values": ["Large"],
            "price": _MONEY,
            "compare_at": {"amount_minor": 1500, "currency": "GBP"},
            "weight_grams": 300,
            "barcode": "5012345678900",
        }
    ],
    "published": True,
}
_ADDRESS = {
    "name": "Grace Guest",
    "line1": "1 Harbour Road",
    "line2": "Top floor",
    "city": "Whitby",
    "region": "North Yorkshire",
    "postal_code": "YO21 1AA",
    "country": "GB",
}
_ENDPOINT = {
    # Nobody has this name (RFC 6761), so nobody is called.
    "url": "https://books.invalid/webhooks",
    "event_types": ["order.confirmed.v1"],
    "description": "Accounting",
}
_PASSWORD = "seventeen purple herons"

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/users"): {"email": "new@example.com", "password": _PASSWORD, "name": "New"},
    ("POST", "/v1/sessions"): {
        "email": "nobody@example.com",
        "password": _PASSWORD,
        "device_token": "not-one",
    },
    ("POST", "/v1/sessions/refresh"): {"refresh_token": "not-one", "nonce": "n" * 16},
    ("POST", "/v1/sessions/logout"): {"refresh_token": "not-one"},
    ("PATCH", "/v1/users/me"): {"name": "Another Name"},
    ("POST", "/v1/email-confirmations"): {"code": "not-one"},
    ("POST", "/v1/me/email"): {"email": "another@example.com", "password": "not the password"},
    ("POST", "/v1/me/password"): {
        "password": "not the password",
        "new_password": _PASSWORD,
        "refresh_token": "not-one",
    },
    ("POST", "/v1/password-resets"): {"email": "nobody@example.com"},
    ("POST", "/v1/password-resets/completion"): {"code": "not-one", "new_password": _PASSWORD},
    ("POST", "/v1/me/export"): {"password": "not the password"},
    ("DELETE", "/v1/me"): {"password": "not the password"},
    ("POST", "/v1/addresses"): {"address": _ADDRESS, "is_default": True},
    ("PUT", "/v1/addresses/{address_id}"): {"address": _ADDRESS, "is_default": True},
    ("POST", "/v1/api-keys"): {
        "name": "Warehouse of Whitby",
        "scopes": ["stock:write"],
        "requests_per_minute": 600,
    },
    ("PUT", "/v1/products/{handle}"): _PRODUCT,
    ("POST", "/v1/products/batch"): {"products": [{"handle": "mug", **_PRODUCT}]},
    ("POST", "/v1/products/{handle}/pictures"): {"content_type": "image/png", "bytes": 70},
    ("PUT", "/v1/products/{handle}/pictures/{picture_id}"): {"alt": "A mug"},
    ("PUT", "/v1/categories/{slug}"): {"title": "Kitchen", "parent": None},
    ("POST", "/v1/products/rebuild-search"): {"cursor": "not-one"},
    ("PUT", "/v1/cart"): {"lines": [{"sku": "MUG", "quantity": 1}]},
    ("POST", "/v1/cart/lines"): {"sku": "MUG", "quantity": 1},
    ("PUT", "/v1/cart/lines/{sku}"): {"quantity": 1},
    ("POST", "/v1/cart/merge"): {"guest_token": "not-one"},
    ("POST", "/v1/checkouts"): {
        "email": "grace@example.com",
        "shipping_address": _ADDRESS,
        "payment_method": "pm_card_ok",
        "expected_total": _MONEY,
        "shipping_quote": "not-one",
    },
    ("PUT", "/v1/staff/promotions/{code}"): {
        "kind": "amount",
        "basis_points": 0,
        "amounts": [_MONEY],
        "minimums": [_MONEY],
        "starts_at": "2026-01-01T00:00:00Z",
        "ends_at": "2026-02-01T00:00:00Z",
        "uses_max": 10,
        "uses_per_person_max": 1,
        "skus": ["NO-SUCH-SKU"],
        "customers_only": True,
    },
    ("PUT", "/v1/staff/taxes/{country}"): {
        "prices_include_tax": True,
        "shipping_class": "standard",
        "needs_region": False,
        "rates": [
            {
                "tax_class": "standard",
                "rate_ppm": 200_000,
                "valid_from": "2026-01-01",
                "regions": ["CA", "California"],
            }
        ],
    },
    ("POST", "/v1/stock/batch"): {
        "lines": [{"sku": "MUG", "on_hand": 5}],
        "reason": "counted",
        "code": "stocktaking",
        "warehouse": "main",
    },
    ("POST", "/v1/stock/{sku}/receipts"): {
        "quantity": 5,
        "reason": "delivered",
        "code": "delivery",
        "warehouse": "main",
    },
    ("POST", "/v1/stock/{sku}/adjustments"): {
        "delta": -1,
        "reason": "broken",
        "code": "damaged",
        "warehouse": "main",
    },
    ("PUT", "/v1/stock/{sku}/count"): {
        "on_hand": 5,
        "reason": "counted",
        "code": "stocktaking",
        "warehouse": "main",
    },
    ("PUT", "/v1/stock/{sku}/keeping"): {
        "shards": 4,
        "low_at": 20,
        "backorders_max": 100,
        "reason": "the autumn sale",
    },
    ("PUT", "/v1/staff/warehouses/{code}"): {
        "name": "Leeds",
        "country": "GB",
        "priority": 10,
        "is_open": True,
    },
    ("POST", "/v1/shipping/quotes"): {"country": "GB", "weight_grams": 640, "currency": "GBP"},
    ("POST", "/v1/shipments/{order_id}/claims"): {"kind": "damaged", "description": "broken"},
    ("POST", "/v1/shipments/{order_id}/claims/{claim_id}/acceptance"): {"amount": _MONEY},
    ("POST", "/v1/shipments/{order_id}/parcels"): {
        "lines": [{"sku": "MUG", "quantity": 1}],
        "weight_grams": 320,
    },
    ("POST", "/v1/shipments/{order_id}/parcels/{number}/progress"): {"step": "dispatch"},
    ("POST", "/v1/shipments/{order_id}/returns"): {
        "lines": [{"sku": "MUG", "quantity": 1}],
        "reason": "one too many",
    },
    ("POST", "/v1/shipments/{order_id}/returns/{return_id}/receipt"): {
        "lines": [{"sku": "MUG", "quantity": 1, "condition": "resellable"}],
    },
    ("POST", "/v1/orders/{order_id}/cancellation"): {"reason": "ordered twice"},
    ("POST", "/v1/orders/{order_id}/edits"): {
        "lines": [{"sku": "MUG", "quantity": 1}],
        "expected_total": _MONEY,
        "payment_method": "pm_card_ok",
    },
    ("POST", "/v1/staff/orders/{order_id}/resume"): {"direction": "retry", "note": "it answers"},
    ("POST", "/v1/staff/reconciliations"): {
        "day": "2026-01-05",
        "after": "not-one",
        "repair": False,
    },
    ("POST", "/v1/payments/{order_id}/refunds"): {"amount": _MONEY, "reason": "broken"},
    ("POST", "/v1/webhook-endpoints"): _ENDPOINT,
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): {**_ENDPOINT, "enabled": True},
}


def named(route: tuple[str, str]) -> str:
    """Name a route in a list of failures."""
    return " ".join(route)


def parameters_of(spec: RouteSpec) -> list[str]:
    return re.findall(r"{(\w+)}", spec.path)


def role_for(spec: RouteSpec) -> Role | None:
    """Choose one role that reaches the route; None for nobody."""
    return None if spec.roles == PUBLIC else sorted(spec.roles)[0]


def body_of(spec: RouteSpec) -> bytes:
    body = BODIES.get((spec.method, spec.path))
    return json.dumps(body).encode() if body is not None else b""


def headers_of(spec: RouteSpec, key: str) -> dict[str, str]:
    headers = {"Content-Type": spec.content_types[0]} if spec.method != "GET" else {}
    return {**headers, **({"Idempotency-Key": key} if spec.needs_idempotency_key else {})}
