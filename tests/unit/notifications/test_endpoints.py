"""Where events may be sent, and when an endpoint's secret changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifications.endpoints import (
    DEAD_AFTER,
    SECRET_OVERLAP,
    DisabledReason,
    Endpoint,
    EndpointAddressError,
    EndpointChange,
    EndpointStatus,
    require_address,
)

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)


def an_endpoint(**changes: Any) -> Endpoint:
    facts: dict[str, Any] = {
        "endpoint_id": "whe_1",
        "url": "https://example.com/hooks",
        "event_types": ("order.placed.v1",),
        "description": "",
        "status": EndpointStatus.ENABLED,
        "disabled_reason": None,
        "failing_since": None,
        "generation": 1,
        "previous_until": None,
        "version": 1,
        "created_at": NOON,
    }
    return Endpoint(**{**facts, **changes})


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://example.com:8443/hooks?shop=1",
        "https://93.184.216.34/hooks",
        "https://localhost.example.com/",
    ],
)
def test_an_address_on_the_internet_is_taken(url: str) -> None:
    require_address(url, loopback_allowed=False)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://example.com/", "scheme"),
        ("ftp://example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("http://localhost/", "scheme"),
        ("https://ada@example.com/", "credentials"),
        ("https://ada:secret@example.com/", "credentials"),
        ("https://:secret@example.com/", "credentials"),
        ("https://example.com/#part", "fragment"),
        ("https://localhost/", "address"),
        ("https://shop.localhost/", "address"),
        ("https://127.0.0.1/", "address"),
        ("https://10.1.2.3/", "address"),
        ("https://192.168.0.1/", "address"),
        ("https://169.254.169.254/latest/meta-data/", "address"),
        ("https://0.0.0.0/", "address"),
        ("https://224.0.0.1/", "address"),
        ("https://[::1]/", "address"),
        ("https://[fd00:ec2::254]/", "address"),
        ("https://[::ffff:169.254.169.254]/", "address"),
        ("https://[2606:2800:220:1::1]/", "address"),
    ],
)
def test_any_other_address_is_refused_by_its_rule(url: str, rule: str) -> None:
    with pytest.raises(EndpointAddressError) as refused:
        require_address(url, loopback_allowed=False)

    assert refused.value.rule == rule


@pytest.mark.parametrize("url", ["http://localhost:9000/", "http://127.0.0.1:9000/hooks"])
def test_a_developers_own_machine_is_taken_where_the_stack_is_local(url: str) -> None:
    require_address(url, loopback_allowed=True)


@pytest.mark.parametrize("url", ["http://example.com/", "https://10.0.0.1/", "http://10.0.0.1/"])
def test_a_local_stack_opens_no_other_door(url: str) -> None:
    with pytest.raises(EndpointAddressError):
        require_address(url, loopback_allowed=True)


def test_the_old_secret_signs_beside_the_new_one_for_a_day() -> None:
    rotated = an_endpoint().rotated(NOON)

    almost = NOON + SECRET_OVERLAP - timedelta(milliseconds=1)
    assert an_endpoint().generations(NOON) == (1,)
    assert rotated.generations(NOON) == rotated.generations(almost) == (2, 1)
    assert rotated.generations(NOON + SECRET_OVERLAP) == (2,)


def test_rotating_again_ends_the_first_secret_at_once() -> None:
    assert an_endpoint().rotated(NOON).rotated(NOON).generations(NOON) == (3, 2)


def test_an_endpoint_wants_what_it_named_or_everything() -> None:
    assert an_endpoint().wants("order.placed.v1")
    assert not an_endpoint().wants("order.confirmed.v1")
    assert an_endpoint(event_types=("*",)).wants("an.event_of_tomorrow.v1")


def test_enabling_forgets_why_it_was_disabled() -> None:
    dead = an_endpoint(
        status=EndpointStatus.DISABLED, disabled_reason=DisabledReason.DEAD, failing_since=NOON
    )

    enabled = dead.changed(EndpointChange(enabled=True))

    assert enabled.is_enabled
    assert (enabled.disabled_reason, enabled.failing_since) == (None, None)


def test_another_address_has_not_failed_yet() -> None:
    failing = an_endpoint(failing_since=NOON)

    moved = failing.changed(EndpointChange(url="https://new.example.com/"))
    unmoved = failing.changed(EndpointChange(url=failing.url, description="x"))

    assert (moved.failing_since, unmoved.failing_since) == (None, NOON)


def test_changing_the_description_of_a_dead_endpoint_wakes_nothing() -> None:
    dead = an_endpoint(status=EndpointStatus.DISABLED, disabled_reason=DisabledReason.DEAD)

    changed = dead.changed(EndpointChange(description="Accounting", enabled=False))

    assert (changed.status, changed.disabled_reason) == (dead.status, DisabledReason.DEAD)
    assert changed.description == "Accounting"


def test_an_endpoint_is_dead_when_nothing_got_through_for_three_days() -> None:
    failing = an_endpoint(failing_since=NOON)

    assert timedelta(days=3) == DEAD_AFTER
    assert not an_endpoint().is_dead(NOON)
    assert not failing.is_dead(NOON + DEAD_AFTER - timedelta(seconds=1))
    assert failing.is_dead(NOON + DEAD_AFTER)
