"""Telling the merchant's systems what happened: kept once per endpoint, sent until it is taken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from notifications.deliveries import Attempt, Delivery, DeliveryStatus, PublishedEvent
from notifications.endpoints import (
    EVERY_TYPE,
    DisabledReason,
    Endpoint,
    EndpointChange,
    EndpointStatus,
    UnknownEventTypeError,
    VersionMismatchError,
    require_address,
)
from notifications.ports import DeliveryBook, EndpointBook, Post, Secrets
from tradepost.kernel.clock import Clock, from_text, to_text
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.randomness import RandomBytes

TEST_TYPE = "webhook.test.v1"

_ATTEMPTS_MAX = 4
# A round of sending begins no further attempt after this, and ends within the function's time.
ROUND = timedelta(seconds=20)
# An endpoint that fails so often in a row is left alone until the next round.
_FAILURES_IN_A_ROW_MAX = 3
DUE_PER_ROUND_MAX = 100


def register_endpoint(
    change: EndpointChange,
    *,
    reference: str,
    fingerprint: str,
    known_types: frozenset[str],
    loopback_allowed: bool,
    endpoints: EndpointBook,
    now: Clock,
) -> Endpoint:
    """Keep a new endpoint, once per reference.

    Raises
    ------
    EndpointAddressError, UnknownEventTypeError
        The address or a type makes no sense.
    EndpointLimitError
        There are too many.
    EndpointNotFoundError
        It was registered under this reference before, and deleted since.
    IdempotencyMismatchError
        The reference was used for another registration.
    """
    _require_sense(change, known_types, loopback_allowed=loopback_allowed)
    return endpoints.add(
        Endpoint(
            endpoint_id=derived_id("whe", reference),
            url=change.url or "",
            event_types=change.event_types or (EVERY_TYPE,),
            description=change.description or "",
            status=EndpointStatus.ENABLED,
            disabled_reason=None,
            failing_since=None,
            generation=1,
            previous_until=None,
            version=1,
            created_at=_as_kept(now()),
        ),
        fingerprint,
    )


def change_endpoint(
    endpoint_id: str,
    change: EndpointChange,
    *,
    version: int | None,
    known_types: frozenset[str],
    loopback_allowed: bool,
    endpoints: EndpointBook,
) -> Endpoint:
    """Change what is not None, at the version somebody saw or at any.

    Raises
    ------
    EndpointNotFoundError, EndpointAddressError, UnknownEventTypeError
        As for registering.
    VersionMismatchError
        It is not at the version.
    StaleError
        Others kept changing it.
    """
    _require_sense(change, known_types, loopback_allowed=loopback_allowed)
    for _ in range(_ATTEMPTS_MAX):
        endpoint = endpoints.get(endpoint_id)
        if version is not None and version != endpoint.version:
            raise VersionMismatchError(endpoint.version)
        changed = endpoint.changed(change)
        try:
            endpoints.save(changed)
        except StaleError:
            continue
        return changed
    raise StaleError("the endpoint keeps changing")


def rotate_secret(
    endpoint_id: str,
    *,
    reference: str,
    endpoints: EndpointBook,
    now: Clock,
) -> tuple[Endpoint, int]:
    """Give an endpoint its next secret, once per reference; return it and that generation.

    Raises
    ------
    EndpointNotFoundError
        There is none.
    StaleError
        Others kept changing it.
    """
    for _ in range(_ATTEMPTS_MAX):
        endpoint = endpoints.get(endpoint_id)
        generation = endpoints.rotation(endpoint_id, reference)
        if generation is not None:
            return endpoint, generation
        rotated = endpoint.rotated(_as_kept(now()))
        try:
            endpoints.rotate(rotated, reference)
        except StaleError:
            continue
        return rotated, rotated.generation
    raise StaleError("the endpoint keeps changing")


def take_event(
    event: PublishedEvent,
    *,
    endpoints: Iterable[Endpoint],
    deliveries: DeliveryBook,
    now: Clock,
) -> list[Delivery]:
    """Keep an event for every endpoint that wants it; return what was not kept before.

    A disabled endpoint's are kept, too: they are sent when it is enabled again.
    """
    moment = now()
    wanted = [
        Delivery(
            endpoint_id=endpoint.endpoint_id,
            event=event,
            status=DeliveryStatus.WAITING,
            attempts=0,
            tries=0,
            next_attempt_at=moment,
            created_at=moment,
        )
        for endpoint in endpoints
        if endpoint.wants(event.event_type)
    ]
    return [delivery for delivery in wanted if deliveries.add(delivery)]


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round: how many deliveries were taken, and how the endpoint stands now."""

    taken: int
    endpoint: Endpoint


def send_round(
    endpoint: Endpoint,
    event_ids: Sequence[str],
    *,
    endpoints: EndpointBook,
    deliveries: DeliveryBook,
    secrets: Secrets,
    post: Post,
    now: Clock,
    random_bytes: RandomBytes,
) -> Round:
    """Attempt what is due for one endpoint, one after the other.

    Ends early when the round has lasted `ROUND`, and when the endpoint fails again and again: what
    is left stays due. An endpoint that is gone or dead is disabled.
    """
    ends_at = now() + ROUND
    taken = failures_in_a_row = 0
    for event_id in event_ids:
        if not endpoint.is_enabled or failures_in_a_row == _FAILURES_IN_A_ROW_MAX:
            break
        moment = now()
        if moment >= ends_at:
            break
        delivery = deliveries.claim(endpoint.endpoint_id, event_id, moment)
        if delivery is None:
            continue
        attempt = _attempt(endpoint, delivery, by_hand=False, secrets=secrets, post=post, now=now)
        chance = int.from_bytes(random_bytes(4), "big")
        deliveries.settle(delivery.after(attempt, chance=chance), attempt)
        if attempt.answer.is_accepted:
            taken, failures_in_a_row = taken + 1, 0
        else:
            failures_in_a_row += 1
        endpoint = _judged(endpoint, attempt, endpoints)
    return Round(taken, endpoint)


def resend(
    endpoint_id: str,
    event_id: str,
    *,
    endpoints: EndpointBook,
    deliveries: DeliveryBook,
    secrets: Secrets,
    post: Post,
    now: Clock,
) -> None:
    """Send an event to an endpoint now, once more if it was taken before, disabled or not.

    It counts as no try of the schedule, and a failure leaves everything as it was.

    Raises
    ------
    EndpointNotFoundError, DeliveryNotFoundError
        There is nothing to send, or nowhere.
    DeliveryInHandError
        It is being sent at this moment.
    """
    endpoint = endpoints.get(endpoint_id)
    delivery = deliveries.claim_by_hand(endpoint_id, event_id, now())
    attempt = _attempt(endpoint, delivery, by_hand=True, secrets=secrets, post=post, now=now)
    deliveries.settle(delivery.after(attempt, chance=0), attempt)
    if attempt.answer.is_accepted and endpoint.failing_since is not None:
        endpoints.note_working(endpoint_id)


def send_test(
    endpoint_id: str,
    *,
    reference: str,
    correlation_id: str,
    endpoints: EndpointBook,
    deliveries: DeliveryBook,
    secrets: Secrets,
    post: Post,
    now: Clock,
) -> str:
    """Send an event that means nothing, once per reference; return its id.

    It has the shape of all events. Nothing repeats it if it fails.

    Raises
    ------
    EndpointNotFoundError
        There is none.
    """
    endpoint = endpoints.get(endpoint_id)
    moment = now()
    event_id = derived_id("evt", TEST_TYPE, endpoint_id, reference)
    body = {
        "event_id": event_id,
        "occurred_at": to_text(moment),
        "correlation_id": correlation_id,
        "version": 1,
        "type": TEST_TYPE,
        "endpoint_id": endpoint_id,
    }
    is_new = deliveries.add(
        Delivery(
            endpoint_id=endpoint.endpoint_id,
            event=PublishedEvent(event_id, TEST_TYPE, json.dumps(body)),
            status=DeliveryStatus.WAITING,
            attempts=0,
            tries=0,
            next_attempt_at=None,
            created_at=moment,
        )
    )
    if is_new:
        resend(
            endpoint_id,
            event_id,
            endpoints=endpoints,
            deliveries=deliveries,
            secrets=secrets,
            post=post,
            now=now,
        )
    return event_id


def _as_kept(moment: datetime) -> datetime:
    """Cut a moment to what is kept of it, so that it is told alike now and later."""
    return from_text(to_text(moment))


def _require_sense(
    change: EndpointChange, known_types: frozenset[str], *, loopback_allowed: bool
) -> None:
    if change.url is not None:
        require_address(change.url, loopback_allowed=loopback_allowed)
    unknown = set(change.event_types or ()) - known_types - {EVERY_TYPE}
    if unknown:
        raise UnknownEventTypeError(sorted(unknown))


def _attempt(
    endpoint: Endpoint,
    delivery: Delivery,
    *,
    by_hand: bool,
    secrets: Secrets,
    post: Post,
    now: Clock,
) -> Attempt:
    moment = now()
    signers = [
        secrets.of(endpoint.endpoint_id, generation) for generation in endpoint.generations(moment)
    ]
    answer = post.sign_and_send(endpoint.url, delivery.event, signers)
    return Attempt(number=delivery.attempts, at=moment, by_hand=by_hand, answer=answer)


def _judged(endpoint: Endpoint, attempt: Attempt, endpoints: EndpointBook) -> Endpoint:
    """Remember how the endpoint does after a scheduled attempt; return it as it stands."""
    if attempt.answer.is_accepted:
        if endpoint.failing_since is not None:
            endpoints.note_working(endpoint.endpoint_id)
        return replace(endpoint, failing_since=None)
    if attempt.answer.is_gone:
        return _disabled(endpoint, DisabledReason.GONE, endpoints)
    if endpoint.failing_since is None:
        endpoints.note_failing(endpoint.endpoint_id, attempt.at)
        return replace(endpoint, failing_since=attempt.at)
    if endpoint.is_dead(attempt.at):
        return _disabled(endpoint, DisabledReason.DEAD, endpoints)
    return endpoint


def _disabled(endpoint: Endpoint, reason: DisabledReason, endpoints: EndpointBook) -> Endpoint:
    # If somebody changed it meanwhile, or something got through, it stays as they left it.
    if not endpoints.disable(endpoint, reason):
        return endpoint
    return replace(endpoint, status=EndpointStatus.DISABLED, disabled_reason=reason)
