"""Notifications reacts to events: it writes to customers, and tells the merchant's systems."""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, SQSEvent

from notifications import use_cases
from notifications.api import (
    ChangedEndpoint,
    DeliveryList,
    DeliveryPage,
    DeliverySummaryView,
    DeliveryView,
    EndpointList,
    EndpointView,
    NewEndpoint,
    NewEndpointView,
    RotatedSecret,
)
from notifications.contacts import AskedContacts
from notifications.deliveries import Delivery, DeliveryInHandError, DeliveryNotFoundError
from notifications.dynamodb import DynamoDBMessages
from notifications.dynamodb_webhooks import DynamoDBDeliveries, DynamoDBEndpoints
from notifications.endpoint_secrets import DerivedSecrets
from notifications.endpoints import (
    ENDPOINTS_MAX,
    Endpoint,
    EndpointAddressError,
    EndpointLimitError,
    EndpointNotFoundError,
    UnknownEventTypeError,
    VersionMismatchError,
)
from notifications.mailer import SESMailer
from notifications.messages import News, published_event
from notifications.post import HTTPPost
from notifications.use_cases import webhooks
from notifications.words import TYPES
from tradepost.contracts.published import published
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, UnavailableError
from tradepost.kernel.randomness import random_bytes
from tradepost.platform import aws
from tradepost.platform.arguments import IdempotencyKey, IfMatch
from tradepost.platform.auth import Caller, Role
from tradepost.platform.consumer import consume
from tradepost.platform.cursor import InvalidCursorError, read_cursor, sign_cursor
from tradepost.platform.dynamodb import passing_faults_named
from tradepost.platform.idempotency import fingerprint
from tradepost.platform.logger import logger
from tradepost.platform.questions import Questions
from tradepost.platform.service import Reply, Service

app = Service("notifications")

_ADMINS = {Role.ADMIN}


@functools.cache
def messages() -> DynamoDBMessages:
    return DynamoDBMessages(aws.dynamodb(), os.environ["NOTIFICATIONS_TABLE"])


@functools.cache
def contacts() -> AskedContacts:
    return AskedContacts(Questions(aws.functions(), os.environ["STAGE"]))


@functools.cache
def mailer() -> SESMailer:
    return SESMailer(aws.ses(), os.environ["MAIL_SENDER"])


@functools.cache
def endpoints() -> DynamoDBEndpoints:
    return DynamoDBEndpoints(aws.dynamodb(), os.environ["NOTIFICATIONS_TABLE"])


@functools.cache
def deliveries() -> DynamoDBDeliveries:
    return DynamoDBDeliveries(aws.dynamodb(), os.environ["NOTIFICATIONS_TABLE"])


@functools.cache
def secrets() -> DerivedSecrets:
    return DerivedSecrets(os.environ["WEBHOOKS_SECRET"])


@functools.cache
def post() -> HTTPPost:
    return HTTPPost(loopback_allowed=_loopback_allowed())


@functools.cache
def known_types() -> frozenset[str]:
    return frozenset(event.TYPE for event in published())


def _loopback_allowed() -> bool:
    # Only the local stack's neighbours are developers' own.
    return os.environ["STAGE"] == "local"


@app.post(
    "/v1/webhook-endpoints",
    roles=_ADMINS,
    status=201,
    refusals=(
        EndpointAddressError,
        UnknownEventTypeError,
        EndpointLimitError,
        EndpointNotFoundError,
        IdempotencyMismatchError,
    ),
)
def register_webhook_endpoint(
    body: NewEndpoint, caller: Caller, idempotency_key: IdempotencyKey
) -> Reply[NewEndpointView]:
    """Have events sent to an address of yours. The secret is shown now and not again."""
    endpoint = webhooks.register_endpoint(
        body.change(),
        reference=f"{caller.principal_id}:{idempotency_key}",
        fingerprint=fingerprint(body),
        known_types=known_types(),
        loopback_allowed=_loopback_allowed(),
        endpoints=endpoints(),
        now=utc_now,
    )
    secret = secrets().of(endpoint.endpoint_id, 1)
    return Reply(NewEndpointView.with_secret(endpoint, secret), headers=_etag(endpoint))


@app.get("/v1/webhook-endpoints", roles=_ADMINS)
def list_webhook_endpoints() -> EndpointList:
    """List where events are sent, and how each address does."""
    return EndpointList(endpoints=[EndpointView.of(endpoint) for endpoint in endpoints().all()])


@app.get("/v1/webhook-endpoints/{endpoint_id}", roles=_ADMINS, refusals=(EndpointNotFoundError,))
def get_webhook_endpoint(endpoint_id: str) -> Reply[EndpointView]:
    """Show one address and how it does."""
    return _tagged(endpoints().get(endpoint_id))


@app.patch(
    "/v1/webhook-endpoints/{endpoint_id}",
    roles=_ADMINS,
    refusals=(
        EndpointNotFoundError,
        EndpointAddressError,
        UnknownEventTypeError,
        VersionMismatchError,
    ),
)
def change_webhook_endpoint(
    endpoint_id: str, body: ChangedEndpoint, if_match: IfMatch | None
) -> Reply[EndpointView]:
    """Change an address, disable it, or enable it: then what waited for it is sent."""
    endpoint = webhooks.change_endpoint(
        endpoint_id,
        body.change(),
        version=if_match,
        known_types=known_types(),
        loopback_allowed=_loopback_allowed(),
        endpoints=endpoints(),
    )
    return _tagged(endpoint)


@app.delete("/v1/webhook-endpoints/{endpoint_id}", roles=_ADMINS, refusals=(EndpointNotFoundError,))
def delete_webhook_endpoint(endpoint_id: str) -> None:
    """Send nothing more to an address, and forget what waited for it."""
    endpoints().delete(endpoint_id)


@app.post(
    "/v1/webhook-endpoints/{endpoint_id}/secret",
    roles=_ADMINS,
    refusals=(EndpointNotFoundError,),
)
def rotate_webhook_secret(
    endpoint_id: str, caller: Caller, idempotency_key: IdempotencyKey
) -> RotatedSecret:
    """Sign with a new secret, and for a day with the old one besides."""
    endpoint, generation = webhooks.rotate_secret(
        endpoint_id,
        reference=f"{caller.principal_id}:{idempotency_key}",
        endpoints=endpoints(),
        now=utc_now,
    )
    return RotatedSecret(
        endpoint_id=endpoint_id,
        secret=secrets().of(endpoint_id, generation),
        previous_secret_until=endpoint.previous_until,
    )


@app.post(
    "/v1/webhook-endpoints/{endpoint_id}/test",
    roles=_ADMINS,
    status=201,
    refusals=(EndpointNotFoundError, DeliveryNotFoundError, DeliveryInHandError),
)
def send_test_webhook(
    endpoint_id: str, caller: Caller, idempotency_key: IdempotencyKey, correlation_id: str
) -> DeliveryView:
    """Send `webhook.test.v1` now, and tell what was answered."""
    event_id = webhooks.send_test(
        endpoint_id,
        reference=f"{caller.principal_id}:{idempotency_key}",
        correlation_id=correlation_id,
        endpoints=endpoints(),
        deliveries=deliveries(),
        secrets=secrets(),
        post=post(),
        now=utc_now,
    )
    return _delivery_view(endpoint_id, event_id)


@app.get(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries",
    roles=_ADMINS,
    refusals=(EndpointNotFoundError, InvalidCursorError),
)
def list_webhook_deliveries(endpoint_id: str, query: DeliveryPage) -> DeliveryList:
    """List the events for an address, newest first."""
    listing = f"webhook-deliveries:{endpoint_id}:{query.status}"
    begin = read_cursor(query.cursor, listing)
    endpoints().get(endpoint_id)
    found, position = deliveries().of_endpoint(endpoint_id, query.status, query.limit, begin)
    return DeliveryList(
        deliveries=[DeliverySummaryView.of(delivery) for delivery in found],
        next_cursor=sign_cursor(position, listing),
    )


@app.get(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries/{event_id}",
    roles=_ADMINS,
    refusals=(EndpointNotFoundError, DeliveryNotFoundError),
)
def get_webhook_delivery(endpoint_id: str, event_id: str) -> DeliveryView:
    """Show what was sent to an address, each attempt, and what it answered."""
    endpoints().get(endpoint_id)
    return _delivery_view(endpoint_id, event_id)


@app.post(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries/{event_id}/resend",
    roles=_ADMINS,
    refusals=(EndpointNotFoundError, DeliveryNotFoundError, DeliveryInHandError),
    repeatable="whoever receives an event knows it again by its id",
)
def resend_webhook(endpoint_id: str, event_id: str) -> DeliveryView:
    """Send an event again now, whether it was taken or not, and tell what was answered."""
    webhooks.resend(
        endpoint_id,
        event_id,
        endpoints=endpoints(),
        deliveries=deliveries(),
        secrets=secrets(),
        post=post(),
        now=utc_now,
    )
    return _delivery_view(endpoint_id, event_id)


@app.on_sqs_message(queue="notifications-facts", name="on_fact", batch_size=10)
def on_fact(event: SQSEvent) -> dict[str, Any]:
    """Write to the customer about each fact that concerns them."""
    return consume(event.to_dict(), event.context, reactions=dict.fromkeys(TYPES, _tell_customer))


@app.on_sqs_message(queue="notifications-webhooks", name="on_event", batch_size=10)
def on_event(event: SQSEvent) -> dict[str, Any]:
    """Keep each event for every endpoint that wants it, then send what is new."""
    known = functools.cache(endpoints().all)  # read once a batch
    fresh: list[Delivery] = []

    def take(message: str) -> None:
        event = published_event(message)
        fresh.extend(
            webhooks.take_event(event, endpoints=known(), deliveries=deliveries(), now=utc_now)
        )

    # Whatever is published may be wanted: there is no type that nobody reacts to.
    answer = consume(event.to_dict(), event.context, reactions=defaultdict(lambda: take))
    if fresh:
        _send({endpoint: _of(endpoint, fresh) for endpoint in known() if endpoint.is_enabled})
    return answer


@app.schedule(Rate(1, unit=Rate.MINUTES), name="send_due_webhooks")
def send_due_webhooks(_event: CloudWatchEvent) -> None:
    """Try again what is due, and send what was kept while nobody sent it."""
    _send(
        {
            endpoint: deliveries().due(endpoint.endpoint_id, utc_now(), webhooks.DUE_PER_ROUND_MAX)
            for endpoint in endpoints().all()
            if endpoint.is_enabled
        }
    )


def _send(due: Mapping[Endpoint, Sequence[str]]) -> None:
    """Send to all endpoints side by side, so that a slow one delays nobody but itself."""
    rounds = [(endpoint, event_ids) for endpoint, event_ids in due.items() if event_ids]
    if not rounds:
        return
    with ThreadPoolExecutor(ENDPOINTS_MAX) as pool:
        list(pool.map(_send_to_one, rounds))


def _of(endpoint: Endpoint, fresh: Sequence[Delivery]) -> list[str]:
    return [one.event.event_id for one in fresh if one.endpoint_id == endpoint.endpoint_id]


def _send_to_one(due: tuple[Endpoint, Sequence[str]]) -> None:
    endpoint, event_ids = due
    try:
        with passing_faults_named():
            ended = webhooks.send_round(
                endpoint,
                event_ids,
                endpoints=endpoints(),
                deliveries=deliveries(),
                secrets=secrets(),
                post=post(),
                now=utc_now,
                random_bytes=random_bytes,
            )
    except UnavailableError as error:
        # What was not sent is still due: the next round finds it.
        logger.warning("webhooks left for later", endpoint_id=endpoint.endpoint_id, code=error.code)
        return
    if endpoint.is_enabled and not ended.endpoint.is_enabled:
        logger.warning(
            "webhook endpoint disabled",
            endpoint_id=endpoint.endpoint_id,
            reason=ended.endpoint.disabled_reason,
        )


def _delivery_view(endpoint_id: str, event_id: str) -> DeliveryView:
    return DeliveryView.with_attempts(*deliveries().get(endpoint_id, event_id))


def _tagged(endpoint: Endpoint) -> Reply[EndpointView]:
    return Reply(EndpointView.of(endpoint), headers=_etag(endpoint))


def _etag(endpoint: Endpoint) -> dict[str, str]:
    return {"ETag": f'"{endpoint.version}"'}


def _tell_customer(message: str) -> None:
    news = News.model_validate_json(message)
    use_cases.tell_customer(
        news.happening(),
        messages=messages(),
        contacts=contacts(),
        mailer=mailer(),
        shop_url=os.environ["SHOP_URL"],
    )
