"""One local stack for all system tests; each test begins with empty tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from infra.local.clock import Clock
from infra.local.server import LocalSite
from infra.local.stack import LocalStack
from tests.system.faults import Faults
from tests.system.kinds import Shop
from tests.system.shopper import Person, Town, registered
from tests.system.wire import Wire
from tradepost.kernel.clock import set_clock, utc_now
from tradepost.platform import aws
from tradepost.platform.auth import STAFF, Role, Scope
from users import passwords

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with pytest.MonkeyPatch.context() as patch:
        # People register and log in in every test; what a hash must cost, the users' tests show.
        patch.setattr(passwords, "MEMORY_KIB", 64)
        patch.setattr(passwords, "PASSES", 1)
        with LocalStack(ROOT, clock=Clock(skips_pauses=True)) as started:
            yield started
    # The next stack has other keys.
    aws.forget_clients()


@contextmanager
def opened(stack: LocalStack) -> Iterator[Town]:
    stack.reset()
    transport = httpx.WSGITransport(app=LocalSite(stack, "http://localhost/_aws"))
    with httpx.Client(transport=transport, base_url="http://localhost") as http:
        nobody = Person(http, None)
        registered(nobody, "admin@example.com")
        boto3.client("lambda").invoke(
            FunctionName="tradepost-local-users-grant_role",
            Payload=json.dumps(
                {"email": "admin@example.com", "role": "admin", "vouched": True}
            ).encode(),
        )
        session = nobody.post(
            "/v1/sessions", {"email": "admin@example.com", "password": "a long enough password"}
        ).json()
        yield Town(stack, http, Person(http, session["access_token"]), nobody)
        stack.drain()


@pytest.fixture
def town(stack: LocalStack) -> Iterator[Town]:
    with opened(stack) as empty:
        yield empty


@pytest.fixture(scope="module")
def lasting_town(stack: LocalStack) -> Iterator[Town]:
    """A shop that a module's tests share: each sells products of its own."""
    with opened(stack) as lasting:
        yield lasting


@pytest.fixture
def faults(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(stack, monkeypatch)


@pytest.fixture
def shop(lasting_town: Town, faults: Faults) -> Shop:
    return Shop(lasting_town, faults)


@pytest.fixture
def at() -> Iterator[Callable[[timedelta], None]]:
    """Stop the shop's clock so far from now."""
    now = utc_now()
    yield lambda shift: set_clock(lambda: now + shift)
    set_clock(None)


@pytest.fixture
def later() -> Iterator[Callable[[timedelta], None]]:
    """Move the shop's clock forward."""

    def move(by: timedelta) -> None:
        at = utc_now() + by
        set_clock(lambda: at)

    yield move
    set_clock(None)


@pytest.fixture(scope="module")
def wire(stack: LocalStack) -> Wire:
    return Wire(stack)


@pytest.fixture(scope="module")
def tokens(stack: LocalStack, wire: Wire) -> dict[Role | None, str | None]:
    """One caller of each role, and None for nobody: for tests that leave no trace."""
    stack.reset()

    def said(path: str, **body: str) -> dict[str, Any]:
        answer = wire.send("POST", path, json.dumps(body).encode())
        assert answer.status == 201, answer
        told: dict[str, Any] = answer.json()
        return told

    callers: dict[Role | None, str | None] = {None: None}
    callers[Role.GUEST] = said("/v1/guests")["access_token"]
    for role in {Role.CUSTOMER} | STAFF:
        who = {"email": f"{role}@example.com", "password": "a long enough password"}
        said("/v1/users", **who, name="Test Person")
        if role in STAFF:
            boto3.client("lambda").invoke(
                FunctionName="tradepost-local-users-grant_role",
                Payload=json.dumps({"email": who["email"], "role": role, "vouched": True}).encode(),
            )
        callers[role] = said("/v1/sessions", **who)["access_token"]
    every_scope = json.dumps({"name": "Everything", "scopes": [*Scope]}).encode()
    made = wire.send("POST", "/v1/api-keys", every_scope, token=callers[Role.ADMIN])
    callers[Role.PARTNER] = made.json()["api_key"]
    stack.drain()
    return callers
