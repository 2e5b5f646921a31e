"""Partners call with API keys: what a scope opens, how often, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from infra.local import call_counts
from tests.system.routes import NOWHERE, ROUTES, headers_of, named
from tests.system.shopper import Person, Town
from tradepost.kernel.clock import set_clock, utc_now
from tradepost.platform.auth import PUBLIC, Role, Scope
from tradepost.platform.service import Service
from users.api_keys import GRACE, KEYS_MAX

LEVELS = "/v1/stock/MUG/levels"


def made(town: Town, *scopes: Scope, per_minute: int = 100_000) -> dict[str, Any]:
    body = {"name": "Partner", "scopes": [*scopes], "requests_per_minute": per_minute}
    answer = town.admin.post("/v1/api-keys", body)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


def partner(town: Town, *scopes: Scope, per_minute: int = 100_000) -> Person:
    return Person(town.http, made(town, *scopes, per_minute=per_minute)["api_key"])


@pytest.fixture(scope="module")
def partners(lasting_town: Town) -> dict[Scope, Person]:
    """One partner of each scope."""
    return {scope: partner(lasting_town, scope) for scope in Scope}


@pytest.fixture
def stands_still() -> Iterator[None]:
    """A minute that does not end while a test counts."""
    moment = utc_now().replace(second=1)
    set_clock(lambda: moment)
    yield
    set_clock(None)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize(
    "route", sorted(route for route, spec in ROUTES.items() if spec.roles != PUBLIC), ids=named
)
def test_a_key_reaches_the_routes_that_name_its_scope_and_no_others(
    partners: dict[Scope, Person], route: tuple[str, str], scope: Scope
) -> None:
    spec = ROUTES[route]
    headers = {name.replace("-", "_"): text for name, text in headers_of(spec, "key").items()}
    body = None if spec.method == "GET" else {}

    answer = partners[scope].send(spec.method, spec.path.format(**NOWHERE), body, **headers)

    if spec.scope is scope:
        assert answer.status_code not in (401, 403), answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_every_scope_opens_something() -> None:
    assert {spec.scope for spec in ROUTES.values()} == {None, *Scope}


def test_what_everybody_may_do_takes_no_scope() -> None:
    with pytest.raises(TypeError, match="takes no key"):
        Service("shop").get("/v1/open", roles=PUBLIC, scope=Scope.STOCK_READ)


def test_a_partner_counts_stock_and_finds_orders(lasting_town: Town) -> None:
    lasting_town.sells("PARTNERMUG", on_hand=5)
    guest = lasting_town.guest()
    order_id = guest.checks_out(guest.fills_cart(PARTNERMUG=1)).json()["order_id"]
    lasting_town.settles()
    both = partner(lasting_town, Scope.STOCK_WRITE, Scope.ORDERS_READ)

    counted = both.put("/v1/stock/PARTNERMUG/count", {"on_hand": 9, "reason": "counted"})

    assert counted.json()["on_hand"] == 9
    assert both.get(f"/v1/orders/{order_id}").json()["order_id"] == order_id
    assert both.get(f"/v1/staff/orders?order_id={order_id}").status_code == 200
    assert both.post(f"/v1/orders/{order_id}/cancellation", {}).status_code == 403


@pytest.mark.parametrize(
    "bend",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key[:-1],
        lambda key: key + "A",
        lambda key: key.replace("tp_", "sk_"),
        lambda key: "tp_" + "0" * 26 + key[29:],
        lambda key: key[3:],
        lambda _: "tp_",
    ],
)
def test_a_key_that_is_none_of_ours_is_refused_like_no_key(lasting_town: Town, bend: Any) -> None:
    key = made(lasting_town, Scope.STOCK_READ)["api_key"]

    answer = Person(lasting_town.http, bend(key)).get(LEVELS)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_as_many_requests_as_the_key_allows_are_answered_and_the_next_is_told_when(
    lasting_town: Town, stands_still: None
) -> None:
    caller = partner(lasting_town, Scope.STOCK_READ, per_minute=5)

    answers = [caller.get(LEVELS) for _ in range(7)]

    assert [answer.status_code == 429 for answer in answers] == [False] * 5 + [True] * 2
    assert answers[5].json()["code"] == "too_many_requests"
    assert answers[5].headers["Retry-After"] == "59"


def test_of_fifty_requests_at_once_exactly_as_many_as_the_key_allows_are_answered(
    lasting_town: Town, stands_still: None
) -> None:
    caller = partner(lasting_town, Scope.STOCK_READ, per_minute=20)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: caller.get(LEVELS).status_code, range(50)))

    assert answers.count(429) == 30


def test_a_revoked_key_is_refused_at_the_next_request_though_the_gateway_remembers_it(
    lasting_town: Town,
) -> None:
    key = made(lasting_town, Scope.STOCK_READ)
    caller = Person(lasting_town.http, key["api_key"])
    before = caller.get(LEVELS)

    revoked = lasting_town.admin.delete(f"/v1/api-keys/{key['key']['key_id']}")
    after = caller.get(LEVELS)
    again = lasting_town.admin.delete(f"/v1/api-keys/{key['key']['key_id']}")

    assert before.status_code in (200, 404)
    assert (revoked.status_code, after.status_code, again.status_code) == (204, 401, 204)


def test_while_a_key_is_rotated_both_secrets_are_good_and_after_a_day_one(
    lasting_town: Town,
) -> None:
    key = made(lasting_town, Scope.STOCK_READ)
    key_id = key["key"]["key_id"]
    rotated = lasting_town.admin.post(f"/v1/api-keys/{key_id}/rotation").json()
    old, new = (Person(lasting_town.http, one["api_key"]) for one in (key, rotated))

    during = [one.get(LEVELS).status_code for one in (old, new)]
    tomorrow = utc_now() + GRACE
    set_clock(lambda: tomorrow)
    after = [one.get(LEVELS).status_code for one in (old, new)]
    set_clock(None)

    assert 401 not in during
    assert (after[0], after[1] != 401) == (401, True)


def test_a_rotation_repeated_does_not_lock_the_partner_out(lasting_town: Town) -> None:
    key = made(lasting_town, Scope.STOCK_READ)
    path = f"/v1/api-keys/{key['key']['key_id']}/rotation"

    answers = [lasting_town.admin.post(path) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert answers[-1].json()["code"] == "api_key_rotating"
    assert Person(lasting_town.http, key["api_key"]).get(LEVELS).status_code != 401


def test_a_revoked_key_is_not_rotated(lasting_town: Town) -> None:
    key_id = made(lasting_town, Scope.STOCK_READ)["key"]["key_id"]
    lasting_town.admin.delete(f"/v1/api-keys/{key_id}")

    answer = lasting_town.admin.post(f"/v1/api-keys/{key_id}/rotation")

    assert (answer.status_code, answer.json()["code"]) == (409, "api_key_revoked")


def test_a_secret_is_shown_once_and_kept_nowhere(lasting_town: Town) -> None:
    key = made(lasting_town, Scope.STOCK_READ)
    secret = key["api_key"].rpartition("_")[2]

    listed = lasting_town.admin.get("/v1/api-keys").text

    assert key["api_key"].startswith("tp_")
    assert key["key"]["key_id"] in listed
    assert secret not in listed
    assert secret not in repr(boto3.client("dynamodb").scan(TableName="tradepost-local-users"))


def test_a_request_with_a_token_asks_nobody_about_keys(lasting_town: Town) -> None:
    lasting_town.admin.get(LEVELS)
    before = call_counts.counted()

    lasting_town.admin.get(LEVELS)

    after = call_counts.counted()
    made_here = {call: after[call] - before.get(call, 0) for call in after}
    assert {call for call, count in made_here.items() if count} == {"dynamodb.BatchGetItem"}


def test_there_are_only_so_many_keys_and_a_revoked_one_makes_room(town: Town) -> None:
    keys = [made(town, Scope.STOCK_READ) for _ in range(KEYS_MAX)]
    body = {"name": "One more", "scopes": ["stock:read"]}

    refused = town.admin.post("/v1/api-keys", body)
    town.admin.delete(f"/v1/api-keys/{keys[0]['key']['key_id']}")
    town.admin.delete(f"/v1/api-keys/{keys[0]['key']['key_id']}")
    let_in = [town.admin.post("/v1/api-keys", body).status_code for _ in range(2)]

    assert (refused.status_code, refused.json()["code"]) == (409, "api_key_limit")
    assert let_in == [201, 409]


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.GUEST])
def test_nobody_but_an_admin_makes_keys(lasting_town: Town, role: Role) -> None:
    person = lasting_town.customer() if role is Role.CUSTOMER else lasting_town.guest()

    answer = person.post("/v1/api-keys", {"name": "Mine", "scopes": ["stock:write"]})

    assert (answer.status_code, answer.json()["code"]) == (403, "role_forbidden")
