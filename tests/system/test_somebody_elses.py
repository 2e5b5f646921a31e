"""Two customers and two guests: what is one's does not exist for another, by any way in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from typing import Any

import boto3
import httpx
import jwt
import pytest

from tests.system.routes import BODIES, NOWHERE, ROUTES, named
from tests.system.shopper import Person, Town, registered
from tradepost.kernel.ids import derived_id
from tradepost.platform.auth import BUYERS, PUBLIC, Role
from tradepost.platform.service import RouteSpec

BY_ORDER = {route: spec for route, spec in ROUTES.items() if "{order_id}" in spec.path}
BUYERS_ROUTES = sorted(route for route, spec in BY_ORDER.items() if spec.roles & BUYERS)
STAFF_ROUTES = sorted(route for route, spec in BY_ORDER.items() if not spec.roles & BUYERS)
BY_ADDRESS = sorted(route for route in ROUTES if "{address_id}" in route[1])

# What these orders are too young or too small for: to its owner, that is all in the way.
NOT_DELIVERED_YET = {"claim_not_possible", "return_not_possible"}
NOT_THIS_EDIT = {"edit_not_possible", "edit_total"}

MISSING = "ord_00000000000000000000000000"


@dataclass(frozen=True)
class Buyer:
    """Somebody with one confirmed order and one line in the cart."""

    name: str
    person: Person
    order_id: str


@pytest.fixture
def buyers(town: Town) -> list[Buyer]:
    town.sells("MUG", on_hand=100)
    people = {
        "a customer": town.customer(),
        "another customer": town.customer(),
        "a guest": town.guest(),
        "another guest": town.guest(),
    }
    order_ids = {
        name: person.checks_out(person.fills_cart(MUG=number)).json()["order_id"]
        for number, (name, person) in enumerate(people.items(), start=1)
    }
    town.settles()
    for number, person in enumerate(people.values(), start=11):
        person.fills_cart(MUG=number)
    town.settles()
    return [Buyer(name, person, order_ids[name]) for name, person in people.items()]


def stored() -> list[Any]:
    client = boto3.client("dynamodb")
    return [
        item
        for name in client.list_tables()["TableNames"]
        for item in client.scan(TableName=name)["Items"]
    ]


def sent(person: Person, spec: RouteSpec, order_id: str) -> httpx.Response:
    body = BODIES.get((spec.method, spec.path))
    headers = {"Idempotency_Key": f"for-{order_id}"} if spec.needs_idempotency_key else {}
    path = spec.path.format(**{**NOWHERE, "order_id": order_id})
    return person.send(spec.method, path, body, **headers)


def told(answer: httpx.Response, order_id: str) -> tuple[int, dict[str, str], str]:
    """Reduce an answer to what must not depend on whose the order is."""
    own = ("x-request-id", "x-amzn-requestid", "content-length")
    headers = {name: text for name, text in answer.headers.items() if name not in own}
    text = answer.text.replace(answer.headers["X-Request-Id"], "REQUEST")
    return answer.status_code, headers, text.replace(order_id, "ORDER")


def test_an_order_is_named_in_the_paths_tried_here_and_no_other_id_is_a_persons() -> None:
    named_in_paths = {
        part.strip("{}") for _, path in ROUTES for part in path.split("/") if part.startswith("{")
    }

    # Products, categories, pictures, stock, promotions and taxes are the shop's; a cart is the
    # caller's own and has no id in its path. A reference is the simulated bank's, whose page knows
    # nobody but a test card. Claims, returns and numbers of parcels are found under their order;
    # parcels of the simulated carrier are moved by staff. Webhooks are the shop's, and what they
    # carry is nobody's.
    below_an_order = {"claim_id", "return_id", "number"}
    of_simulators = {"reference", "tracking_number", "event"}
    of_webhooks = {"endpoint_id", "event_id"}
    of_the_shop = (
        {"handle", "picture_id", "slug", "sku", "code", "country"} | of_simulators | of_webhooks
    )
    # Keys are the shop's, too. An address is a customer's own, and tried below.
    of_the_shop |= {"key_id"}
    assert named_in_paths == {"order_id", "address_id"} | below_an_order | of_the_shop
    assert set(BUYERS_ROUTES) | set(STAFF_ROUTES) == set(BY_ORDER)


@pytest.mark.parametrize("route", BUYERS_ROUTES, ids=named)
def test_somebody_elses_order_is_told_from_a_missing_one_by_nothing(
    buyers: list[Buyer], route: tuple[str, str]
) -> None:
    spec = BY_ORDER[route]
    before = stored()

    for owner, stranger in permutations(buyers, 2):
        others = sent(stranger.person, spec, owner.order_id)
        missing = sent(stranger.person, spec, MISSING)

        who = f"{stranger.name} at {owner.name}'s"
        assert others.status_code == 404, who
        assert told(others, owner.order_id) == told(missing, MISSING), who
    assert stored() == before
    for owner in buyers:
        own = sent(owner.person, spec, owner.order_id)
        assert (
            own.status_code == spec.status
            or own.json()["code"] in NOT_DELIVERED_YET | NOT_THIS_EDIT
        ), owner.name


@pytest.mark.parametrize("route", BY_ADDRESS, ids=named)
def test_somebody_elses_address_is_told_from_a_missing_one_by_nothing(
    town: Town, route: tuple[str, str]
) -> None:
    spec = ROUTES[route]
    owner, stranger = town.customer(), town.customer()
    kept = owner.post("/v1/addresses", BODIES["POST", "/v1/addresses"], Idempotency_Key="one")
    address_id = kept.json()["address_id"]

    def asked(person: Person, named: str) -> httpx.Response:
        return person.send(spec.method, spec.path.format(address_id=named), BODIES.get(route))

    others, missing = asked(stranger, address_id), asked(stranger, NOWHERE["address_id"])

    assert others.status_code == 404
    assert told(others, address_id) == told(missing, NOWHERE["address_id"])
    assert asked(owner, address_id).status_code == spec.status


@pytest.mark.parametrize("route", STAFF_ROUTES, ids=named)
def test_what_staff_do_to_an_order_its_own_buyer_cannot(
    buyers: list[Buyer], route: tuple[str, str]
) -> None:
    spec = BY_ORDER[route]
    before = stored()

    for owner, caller in [*permutations(buyers, 2), *((one, one) for one in buyers)]:
        answer = sent(caller.person, spec, owner.order_id)

        assert (answer.status_code, answer.json()["code"]) == (403, "role_forbidden"), caller.name
    assert stored() == before


def test_nothing_that_a_buyer_can_read_speaks_of_another(town: Town, buyers: list[Buyer]) -> None:
    readable = [
        spec
        for spec in ROUTES.values()
        if spec.method == "GET" and (spec.roles == PUBLIC or spec.roles & BUYERS)
    ]

    for reader in buyers:
        named_here = {
            "handle": "mug",
            "sku": "MUG",
            "order_id": reader.order_id,
            "reference": derived_id("sim", f"open#{reader.order_id}#1"),
            "address_id": NOWHERE["address_id"],
        }
        seen = " ".join(reader.person.get(spec.path.format(**named_here)).text for spec in readable)

        assert reader.order_id in seen
        assert [one.name for one in buyers if one.order_id in seen] == [reader.name]


def test_a_cart_is_the_callers_whatever_is_asked_of_it(buyers: list[Buyer]) -> None:
    def carts() -> list[dict[str, Any]]:
        return [buyer.person.get("/v1/cart").json() for buyer in buyers]

    before = carts()
    intruder = buyers[0]
    for other in before[1:]:
        for query in (f"cart_id={other['cart_id']}", f"customer_id={other['cart_id']}"):
            answer = intruder.person.get(f"/v1/cart?{query}")

            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    intruder.person.delete("/v1/cart/lines/MUG")
    intruder.person.put("/v1/cart", {"lines": []})
    intruder.person.delete("/v1/cart")

    assert len({cart["cart_id"] for cart in before}) == len(buyers)
    assert carts()[1:] == before[1:]


def test_a_cart_is_taken_over_from_a_guest_only(town: Town, buyers: list[Buyer]) -> None:
    customer, another, guest, _ = (buyer.person for buyer in buyers)
    before = stored()
    claims = jwt.decode(another.token or "", options={"verify_signature": False})
    posing = jwt.encode({**claims, "role": "guest"}, "k" * 32, algorithm="HS256")

    for token in (another.token, customer.token, town.admin.token, posing, "gst_1", claims["sub"]):
        answer = customer.post("/v1/cart/merge", {"guest_token": token})

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_guest_token")
    assert guest.post("/v1/cart/merge", {"guest_token": guest.token}).status_code == 403
    assert stored() == before


def test_an_idempotency_key_means_nothing_in_another_hand(buyers: list[Buyer]) -> None:
    first, second, *_ = (buyer.person for buyer in buyers)
    cart = first.get("/v1/cart").json()
    mine = first.checks_out(cart["total"]["amount_minor"], key="the-same-key")

    theirs = second.checks_out(second.fills_cart(MUG=1), key="the-same-key")

    assert (mine.status_code, theirs.status_code) == (202, 202)
    assert mine.json()["order_id"] != theirs.json()["order_id"]
    assert first.get(f"/v1/checkouts/{theirs.json()['order_id']}").status_code == 404


def test_a_profile_is_the_callers_whoever_is_named(town: Town) -> None:
    one, another = town.customer(), town.customer()
    theirs = another.get("/v1/users/me").json()

    for query in (f"user_id={theirs['user_id']}", f"email={theirs['email']}"):
        assert one.get(f"/v1/users/me?{query}").json()["user_id"] != theirs["user_id"]
    refused = one.send("PATCH", "/v1/users/me", {"name": "X", "user_id": theirs["user_id"]})
    one.send("PATCH", "/v1/users/me", {"name": "Mallory"})

    assert refused.status_code == 422
    assert another.get("/v1/users/me").json() == theirs


class Listing:
    """A listing of two items, by pages of one."""

    def __init__(self, town: Town, path: str) -> None:
        self._town = town
        self.path = path
        if path == "/v1/orders":
            registered(town.nobody, "lister@example.com")
            reader = self.reader()
            for quantity in (1, 2):
                reader.checks_out(reader.fills_cart(MUG=quantity))
                town.settles()

    def reader(self) -> Person:
        """Log in, with a token of the present moment."""
        if self.path == "/v1/products":
            return self._town.nobody
        email = "lister" if self.path == "/v1/orders" else "admin"
        who = {"email": f"{email}@example.com", "password": "a long enough password"}
        return Person(
            self._town.http, self._town.nobody.post("/v1/sessions", who).json()["access_token"]
        )

    def cursor(self) -> str:
        joint = "&" if "?" in self.path else "?"
        cursor: str = self.reader().get(f"{self.path}{joint}limit=1").json()["next_cursor"]
        assert cursor is not None
        return cursor

    def page(self, cursor: str, reader: Person | None = None) -> httpx.Response:
        joint = "&" if "?" in self.path else "?"
        return (reader or self.reader()).get(f"{self.path}{joint}limit=1&cursor={cursor}")


@pytest.fixture(
    params=[
        "/v1/orders",
        "/v1/staff/orders?status=CONFIRMED",
        "/v1/products",
        "/v1/products?sort=title",
        "/v1/products-export",
    ]
)
def listing(request: pytest.FixtureRequest, town: Town, buyers: list[Buyer]) -> Listing:
    town.sells("CUP", on_hand=10)
    town.settles()
    return Listing(town, request.param)


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_a_cursor_is_good_where_it_was_given_out(listing: Listing) -> None:
    assert listing.page(listing.cursor()).status_code == 200


def test_a_cursor_that_was_changed_or_made_up_is_refused(listing: Listing) -> None:
    good = listing.cursor()
    header, claims, signature = good.split(".")
    own = jwt.decode(good, options={"verify_signature": False})

    for forged in (
        good[:-2],
        f"{header}.{claims}.",
        f"{header}.{claims[:-2]}.{signature}",
        f"{header}.{claims}.{'A' * len(signature)}",
        jwt.encode(own, "k" * 32, algorithm="HS256"),
        jwt.encode(own, None, algorithm="none"),
        jwt.encode({**own, "at": {"pk": "x", "sk": "y"}}, "k" * 32, algorithm="HS256"),
    ):
        assert refused(listing.page(forged)), forged


def test_a_cursor_ends_with_its_day(listing: Listing, at: Callable[[timedelta], None]) -> None:
    # A day, and what is left of its last hour.
    at(timedelta(days=-1, hours=-1, seconds=-1))
    yesterdays = listing.cursor()
    still_good = listing.page(yesterdays)

    at(timedelta(0))
    answer = listing.page(yesterdays)

    assert still_good.status_code == 200
    assert refused(answer)


def test_a_cursor_of_another_listing_is_refused(
    town: Town, listing: Listing, buyers: list[Buyer]
) -> None:
    others = {
        "/v1/orders?status=CONFIRMED",
        "/v1/staff/orders?status=CONFIRMED",
        "/v1/staff/orders?email=grace@example.com",
        "/v1/products",
        "/v1/products?sort=title",
        "/v1/products?sort=-price",
        "/v1/products?q=product",
        "/v1/products-export",
    } - {listing.path}
    cursor = listing.cursor()

    for path in others:
        other = Listing.__new__(Listing)
        other.path, other._town = path, town
        reader = buyers[0].person if path.startswith("/v1/orders") else None

        assert refused(other.page(cursor, reader)), path
    rebuild = town.admin.post("/v1/products/rebuild-search", {"cursor": cursor})
    assert refused(rebuild)


def test_a_cursor_into_ones_own_orders_leads_nobody_else_there(
    town: Town, buyers: list[Buyer]
) -> None:
    mine = Listing(town, "/v1/orders")
    cursor = mine.cursor()

    for buyer in buyers:
        assert refused(mine.page(cursor, buyer.person)), buyer.name


def test_a_token_of_a_role_says_nothing_about_another_role(town: Town) -> None:
    """A log-in's answer and the token agree, and the token is what counts."""
    customer = town.customer()
    claims = jwt.decode(customer.token or "", options={"verify_signature": False})

    profile = customer.get("/v1/users/me", X_Role="admin", X_User_Id="usr_admin").json()

    assert profile["role"] == claims["role"] == Role.CUSTOMER
    assert json.dumps(profile).count("admin") == 0
