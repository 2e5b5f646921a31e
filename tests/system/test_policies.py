"""Who reaches which route: every route by every role, as its policy says and not otherwise."""

from __future__ import annotations

import pytest

from infra.local.stack import LocalStack
from tests.system.routes import NOWHERE, ROUTES, headers_of, named
from tests.system.wire import Answer, Wire
from tradepost.platform.auth import PUBLIC, Role
from tradepost.platform.service import RouteSpec, Service
from tradepost.platform.webhooks import WebhookSignatureError

EVERYBODY = [None, *Role]

Tokens = dict[Role | None, str | None]


def partners_of(spec: RouteSpec) -> set[Role]:
    """Tell whether the partner here, whose key has every scope, is let in."""
    return {Role.PARTNER} if spec.scope is not None else set()


def called(wire: Wire, spec: RouteSpec, token: str | None) -> Answer:
    """Call a route with a body that says nothing, about an object that does not exist."""
    body = b"" if spec.method in ("GET", "DELETE") else b"{}"
    headers = headers_of(spec, "policy")
    return wire.send(spec.method, spec.path.format(**NOWHERE), body, token=token, headers=headers)


def test_every_route_that_is_served_is_tried_here(stack: LocalStack) -> None:
    served = {
        (spec.method, spec.path) for app in stack.functions.apps.values() for spec in app.specs
    }
    routed = {
        (method, path)
        for app in stack.functions.apps.values()
        for path, methods in app.routes.items()
        for method in methods
    }

    assert set(ROUTES) == served == routed


@pytest.mark.parametrize("route", sorted(ROUTES), ids=named)
@pytest.mark.parametrize("role", EVERYBODY, ids=lambda role: role or "nobody")
def test_a_route_answers_the_roles_it_names_and_refuses_all_others(
    wire: Wire, tokens: Tokens, route: tuple[str, str], role: Role | None
) -> None:
    spec = ROUTES[route]

    answer = called(wire, spec, tokens[role])

    assert answer.status < 500, answer
    if WebhookSignatureError in spec.refusals:
        # Whoever signs it is its caller; no token changes that.
        assert (answer.status, answer.problem()["code"]) == (401, "invalid_signature")
    elif spec.roles == PUBLIC or role in {*spec.roles, *partners_of(spec)}:
        assert answer.status not in (401, 403), answer
    elif role is Role.PARTNER:
        assert (answer.status, answer.problem()["code"]) == (403, "scope_missing")
    elif role is None:
        assert (answer.status, answer.problem()["code"]) == (401, "unauthorized")
    else:
        assert (answer.status, answer.problem()["code"]) == (403, "role_forbidden")


def test_a_route_without_a_policy_cannot_be_declared() -> None:
    service = Service("shop")

    with pytest.raises(TypeError, match="roles"):
        service.get("/v1/open-door")

    assert service.specs == []
    assert service.routes == {}
