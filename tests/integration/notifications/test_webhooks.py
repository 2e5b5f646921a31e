"""Events to a merchant's system: over a real table and a real wire, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifications.deliveries import (
    RETRY_AFTER,
    DeliveryInHandError,
    DeliveryNotFoundError,
    DeliveryStatus,
    PublishedEvent,
)
from notifications.dynamodb_webhooks import CLAIM, DynamoDBDeliveries, DynamoDBEndpoints
from notifications.endpoint_secrets import DerivedSecrets
from notifications.endpoints import (
    ENDPOINTS_MAX,
    DisabledReason,
    Endpoint,
    EndpointChange,
    EndpointLimitError,
    EndpointNotFoundError,
    EndpointStatus,
    UnknownEventTypeError,
    VersionMismatchError,
)
from notifications.post import HTTPPost
from notifications.use_cases import webhooks
from tests.fakes.merchant import Merchant, merchant
from tests.integration.tables import tables
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
TYPES = frozenset({"order.placed.v1", "order.confirmed.v1"})


@dataclass
class Office:
    """Notifications' side of webhooks, with a clock that only moves when it is told to."""

    endpoints: DynamoDBEndpoints
    deliveries: DynamoDBDeliveries
    secrets: DerivedSecrets
    post: HTTPPost = field(default_factory=lambda: HTTPPost(loopback_allowed=True))
    time: datetime = NOON

    def now(self) -> datetime:
        return self.time

    def passes(self, span: timedelta) -> None:
        self.time += span

    def registers(
        self, url: str, *event_types: str, reference: str = "ref-1", fingerprint: str = "f"
    ) -> Endpoint:
        return webhooks.register_endpoint(
            EndpointChange(url=url, event_types=event_types or ("*",), description="Books"),
            reference=reference,
            fingerprint=fingerprint,
            known_types=TYPES,
            loopback_allowed=True,
            endpoints=self.endpoints,
            now=self.now,
        )

    def changes(self, endpoint: Endpoint, version: int | None = None, **change: Any) -> Endpoint:
        return webhooks.change_endpoint(
            endpoint.endpoint_id,
            EndpointChange(**change),
            version=version,
            known_types=TYPES,
            loopback_allowed=True,
            endpoints=self.endpoints,
        )

    def rotates(self, endpoint: Endpoint, reference: str) -> int:
        return webhooks.rotate_secret(
            endpoint.endpoint_id, reference=reference, endpoints=self.endpoints, now=self.now
        )[1]

    def hears(self, event: PublishedEvent) -> int:
        """Take an event and send what is new of it; return how many deliveries were new."""
        known = self.endpoints.all()
        fresh = webhooks.take_event(
            event, endpoints=known, deliveries=self.deliveries, now=self.now
        )
        for endpoint in known:
            mine = [one for one in fresh if one.endpoint_id == endpoint.endpoint_id]
            self.sends(endpoint, [one.event.event_id for one in mine])
        return len(fresh)

    def sends(self, endpoint: Endpoint, event_ids: list[str]) -> webhooks.Round:
        return webhooks.send_round(
            endpoint,
            event_ids,
            endpoints=self.endpoints,
            deliveries=self.deliveries,
            secrets=self.secrets,
            post=self.post,
            now=self.now,
            random_bytes=lambda count: bytes(count),
        )

    def strikes(self) -> int:
        """Do what the clock does each minute; return how many deliveries were taken."""
        return sum(
            self.sends(endpoint, self.deliveries.due(endpoint.endpoint_id, self.time, 100)).taken
            for endpoint in self.endpoints.all()
            if endpoint.is_enabled
        )

    def resends(self, endpoint: Endpoint, event_id: str) -> None:
        webhooks.resend(
            endpoint.endpoint_id,
            event_id,
            endpoints=self.endpoints,
            deliveries=self.deliveries,
            secrets=self.secrets,
            post=self.post,
            now=self.now,
        )

    def status(self, endpoint: Endpoint, event_id: str) -> str:
        return self.deliveries.get(endpoint.endpoint_id, event_id)[0].status

    def standing(self, endpoint: Endpoint) -> tuple[str, str | None]:
        found = self.endpoints.get(endpoint.endpoint_id)
        return found.status, found.disabled_reason


@pytest.fixture
def office() -> Iterator[Office]:
    with tables("notifications") as client:
        boto3.client("secretsmanager").create_secret(
            Name="webhooks", SecretString=json.dumps({"key": "m" * 64})
        )
        office = Office(
            DynamoDBEndpoints(client, "notifications"),
            DynamoDBDeliveries(client, "notifications"),
            DerivedSecrets("webhooks"),
        )
        yield office


@pytest.fixture
def shop() -> Iterator[Merchant]:
    with merchant() as running:
        yield running


def an_event(number: int = 1, event_type: str = "order.placed.v1") -> PublishedEvent:
    event_id = f"evt_{number}"
    return PublishedEvent(
        event_id, event_type, f'{{"event_id":"{event_id}","type":"{event_type}"}}'
    )


def test_an_event_arrives_signed_as_it_was_published(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)

    office.hears(an_event())

    (request,) = shop.received
    secret = office.secrets.of(endpoint.endpoint_id, 1)
    assert request.body.decode() == an_event().body
    assert Webhook(secret).verify(request.body, request.headers)
    assert office.status(endpoint, "evt_1") == "DELIVERED"


def test_an_event_that_comes_again_is_sent_once(office: Office, shop: Merchant) -> None:
    office.registers(shop.url)

    fresh = [office.hears(an_event()) for _ in range(5)]

    assert fresh == [1, 0, 0, 0, 0]
    assert shop.event_ids == ["evt_1"]


def test_each_endpoint_hears_what_it_wants(office: Office, shop: Merchant) -> None:
    with merchant() as other:
        office.registers(shop.url, "order.confirmed.v1", reference="ref-1")
        office.registers(other.url, reference="ref-2")

        office.hears(an_event(1, "order.placed.v1"))
        office.hears(an_event(2, "order.confirmed.v1"))

        assert shop.event_ids == ["evt_2"]
        assert other.event_ids == ["evt_1", "evt_2"]


def test_one_endpoint_that_fails_keeps_nothing_from_another(office: Office, shop: Merchant) -> None:
    with merchant() as broken:
        broken.status = 500
        office.registers(broken.url, reference="ref-1")
        office.registers(shop.url, reference="ref-2")

        for number in range(10):
            office.hears(an_event(number))

        assert len(shop.received) == 10


def test_a_system_that_is_down_hears_of_it_when_it_is_back(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 503
    office.hears(an_event())

    shop.status = 200
    office.passes(timedelta(seconds=59))
    assert office.strikes() == 0
    office.passes(timedelta(seconds=1))
    assert office.strikes() == 1

    delivery, attempts = office.deliveries.get(endpoint.endpoint_id, "evt_1")
    assert delivery.status is DeliveryStatus.DELIVERED
    assert [attempt.answer.status_code for attempt in attempts] == [503, 200]
    assert office.endpoints.get(endpoint.endpoint_id).failing_since is None


def test_an_event_nobody_takes_is_tried_for_three_days_and_then_left(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    shop.status, shop.body = 500, b"out of paper"
    office.hears(an_event())
    attempted_at = []

    while (
        due := office.deliveries.get(endpoint.endpoint_id, "evt_1")[0].next_attempt_at
    ) is not None:
        before = len(shop.received)
        office.time = due - timedelta(seconds=1)
        office.strikes()
        assert len(shop.received) == before
        office.time = due
        office.strikes()
        assert len(shop.received) == before + 1
        attempted_at.append(due - NOON)
    office.passes(timedelta(days=9))
    office.strikes()

    delivery, attempts = office.deliveries.get(endpoint.endpoint_id, "evt_1")
    expected = [sum(RETRY_AFTER[:count], timedelta()) for count in range(1, 10)]
    assert attempted_at == expected
    assert delivery.status is DeliveryStatus.FAILED
    assert [attempt.number for attempt in attempts] == list(range(1, 11))
    assert {attempt.answer.text for attempt in attempts} == {"out of paper"}


def test_an_endpoint_that_took_nothing_for_three_days_is_disabled(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 500

    for hours in range(0, 78, 6):
        office.hears(an_event(hours))
        office.passes(timedelta(hours=6))
        office.strikes()
        assert (office.standing(endpoint) == ("ENABLED", None)) is (hours + 6 < 72), hours

    assert office.standing(endpoint) == ("DISABLED", DisabledReason.DEAD)
    calls = len(shop.received)
    office.hears(an_event(999))
    office.strikes()
    assert len(shop.received) == calls


def test_one_success_in_three_days_keeps_an_endpoint_alive(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)

    for hours in range(0, 96, 6):
        shop.status = 200 if hours == 48 else 500
        office.hears(an_event(hours))
        office.passes(timedelta(hours=6))
        office.strikes()

    assert office.standing(endpoint) == ("ENABLED", None)


def test_a_system_that_says_it_is_gone_is_disabled_at_once(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 410

    office.hears(an_event(1))
    office.hears(an_event(2))

    assert office.standing(endpoint) == ("DISABLED", DisabledReason.GONE)
    assert shop.event_ids == ["evt_1"]


def test_what_happens_while_it_is_disabled_is_sent_when_it_is_enabled(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    office.changes(endpoint, enabled=False)
    for number in range(3):
        office.hears(an_event(number))
    office.passes(timedelta(days=4))
    assert office.strikes() == 0
    assert shop.received == []

    office.changes(endpoint, enabled=True)
    office.strikes()

    assert sorted(shop.event_ids) == ["evt_0", "evt_1", "evt_2"]


def test_a_dead_endpoint_that_is_mended_and_enabled_gets_what_it_missed(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 410
    office.hears(an_event(1))
    office.hears(an_event(2))
    shop.status = 200

    enabled = office.changes(endpoint, enabled=True)
    office.passes(timedelta(minutes=2))
    office.strikes()

    assert (enabled.disabled_reason, enabled.failing_since) == (None, None)
    assert set(shop.event_ids) == {"evt_1", "evt_2"}


def test_a_failing_system_is_called_a_few_times_a_round_however_much_waits(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    office.changes(endpoint, enabled=False)
    for number in range(50):
        office.hears(an_event(number))
    office.changes(endpoint, enabled=True)
    shop.status = 500

    office.strikes()

    assert len(shop.received) == 3


def test_one_event_a_system_cannot_take_does_not_stop_the_others(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    office.changes(endpoint, enabled=False)
    for number in range(10):
        office.hears(an_event(number))
    office.changes(endpoint, enabled=True)

    def chokes(handler: Any) -> None:
        handler.send_response(500 if handler.headers["webhook-id"] == "evt_4" else 200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    shop.misbehaves = chokes

    assert office.strikes() == 9
    assert office.standing(endpoint) == ("ENABLED", None)


def test_two_workers_with_one_delivery_send_it_once(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)
    webhooks.take_event(
        an_event(), endpoints=[endpoint], deliveries=office.deliveries, now=office.now
    )

    with ThreadPoolExecutor(16) as workers:
        rounds = list(workers.map(lambda _: office.sends(endpoint, ["evt_1"]), range(16)))

    assert sum(one.taken for one in rounds) == 1
    assert len(shop.received) == 1


def test_workers_that_hear_one_event_at_once_keep_it_once(office: Office, shop: Merchant) -> None:
    office.registers(shop.url)

    with ThreadPoolExecutor(16) as workers:
        fresh = list(workers.map(lambda _: office.hears(an_event()), range(16)))

    assert sum(fresh) == 1
    assert len(shop.received) == 1


def test_a_worker_that_died_after_keeping_an_event_leaves_it_to_the_clock(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    webhooks.take_event(
        an_event(), endpoints=[endpoint], deliveries=office.deliveries, now=office.now
    )

    assert office.hears(an_event()) == 0
    assert office.strikes() == 1
    assert shop.event_ids == ["evt_1"]


def test_a_worker_that_died_while_sending_is_replaced_when_its_claim_has_lapsed(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    webhooks.take_event(
        an_event(), endpoints=[endpoint], deliveries=office.deliveries, now=office.now
    )
    died = office.deliveries.claim(endpoint.endpoint_id, "evt_1", office.time)
    assert died is not None

    office.passes(CLAIM)
    assert office.strikes() == 0
    office.passes(timedelta(seconds=1))
    assert office.strikes() == 1

    assert office.status(endpoint, "evt_1") == "DELIVERED"


def test_a_worker_whose_claim_lapsed_undoes_nothing_of_its_replacement(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 500
    office.hears(an_event())
    office.passes(timedelta(minutes=1))
    slow = office.deliveries.claim(endpoint.endpoint_id, "evt_1", office.time)
    assert slow is not None
    shop.status = 200
    office.passes(CLAIM + timedelta(seconds=1))
    office.strikes()

    _, attempts = office.deliveries.get(endpoint.endpoint_id, "evt_1")
    late = replace(attempts[0], number=slow.attempts)
    office.deliveries.settle(slow.after(late, chance=0), late)

    assert office.status(endpoint, "evt_1") == "DELIVERED"


def test_an_event_is_resent_by_hand_whatever_became_of_it(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)
    office.hears(an_event())

    office.resends(endpoint, "evt_1")

    _, attempts = office.deliveries.get(endpoint.endpoint_id, "evt_1")
    assert shop.event_ids == ["evt_1", "evt_1"]
    assert [attempt.by_hand for attempt in attempts] == [False, True]


def test_what_a_disabled_endpoint_missed_can_be_resent_by_hand(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 410
    office.hears(an_event())
    shop.status = 200

    office.resends(endpoint, "evt_1")

    assert office.status(endpoint, "evt_1") == "DELIVERED"
    assert office.standing(endpoint) == ("DISABLED", DisabledReason.GONE)


def test_resending_by_hand_in_vain_costs_no_try_of_the_schedule(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 500
    office.hears(an_event())
    for _ in range(20):
        office.resends(endpoint, "evt_1")

    shop.status = 200
    office.passes(timedelta(minutes=1))

    assert office.strikes() == 1


def test_what_is_being_sent_or_was_never_kept_cannot_be_resent(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    webhooks.take_event(
        an_event(), endpoints=[endpoint], deliveries=office.deliveries, now=office.now
    )
    office.deliveries.claim(endpoint.endpoint_id, "evt_1", office.time)

    with pytest.raises(DeliveryInHandError):
        office.resends(endpoint, "evt_1")
    with pytest.raises(DeliveryNotFoundError):
        office.resends(endpoint, "evt_2")
    with pytest.raises(EndpointNotFoundError):
        office.resends(replace(endpoint, endpoint_id="whe_none"), "evt_1")
    assert shop.received == []


def test_a_new_secret_signs_beside_the_old_one_for_a_day_and_then_alone(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    old = office.secrets.of(endpoint.endpoint_id, 1)
    new = office.secrets.of(endpoint.endpoint_id, office.rotates(endpoint, "r1"))
    office.hears(an_event(1))
    office.passes(timedelta(hours=24))
    office.hears(an_event(2))

    during, after = shop.received
    for secret in (old, new):
        assert Webhook(secret).verify(during.body, during.headers)
    assert Webhook(new).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(after.body, after.headers)


def test_a_rotation_asked_for_twice_gives_one_new_secret(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)

    generations = [office.rotates(endpoint, one) for one in ("r1", "r1", "r2", "r1")]

    assert generations == [2, 2, 3, 2]


def test_no_two_endpoints_and_no_two_generations_share_a_secret(office: Office) -> None:
    derived = [office.secrets.of(f"whe_{n}", generation) for n in (1, 11) for generation in (1, 11)]

    assert len(set(derived)) == 4
    assert office.secrets.of("whe_1", 1) == derived[0]


def test_nothing_secret_lies_in_the_table(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)
    office.rotates(endpoint, "r1")
    office.hears(an_event())

    stored = json.dumps(boto3.client("dynamodb").scan(TableName="notifications"), default=str)
    for generation in (1, 2):
        secret = office.secrets.of(endpoint.endpoint_id, generation)
        assert secret.removeprefix("whsec_") not in stored
    assert "m" * 64 not in stored


def test_an_endpoint_registered_twice_under_one_reference_is_one(
    office: Office, shop: Merchant
) -> None:
    first, second = office.registers(shop.url), office.registers(shop.url)

    assert first == second
    assert len(office.endpoints.all()) == 1
    with pytest.raises(IdempotencyMismatchError):
        office.registers(shop.url, fingerprint="another")


def test_a_registration_repeated_after_its_deletion_brings_nothing_back(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    office.endpoints.delete(endpoint.endpoint_id)

    with pytest.raises(EndpointNotFoundError):
        office.registers(shop.url)
    assert office.endpoints.all() == []


def test_a_deleted_endpoint_hears_of_nothing_and_cannot_be_deleted_again(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 500
    office.hears(an_event(1))
    office.endpoints.delete(endpoint.endpoint_id)

    office.hears(an_event(2))
    office.passes(timedelta(hours=1))
    office.strikes()

    assert shop.event_ids == ["evt_1"]
    for refused in (
        lambda: office.endpoints.get(endpoint.endpoint_id),
        lambda: office.endpoints.delete(endpoint.endpoint_id),
        lambda: office.changes(endpoint, description="x"),
        lambda: office.rotates(endpoint, "r1"),
    ):
        with pytest.raises(EndpointNotFoundError):
            refused()


def test_there_are_so_many_endpoints_and_not_one_more(office: Office, shop: Merchant) -> None:
    def register(number: int) -> bool:
        try:
            office.registers(shop.url, reference=f"ref-{number}")
        except EndpointLimitError:
            return False
        return True

    with ThreadPoolExecutor(8) as staff:
        assert sum(staff.map(register, range(ENDPOINTS_MAX + 10))) == ENDPOINTS_MAX

    office.endpoints.delete(office.endpoints.all()[0].endpoint_id)
    assert register(999)
    assert not register(1000)


def test_a_type_that_nobody_publishes_is_refused(office: Office, shop: Merchant) -> None:
    with pytest.raises(UnknownEventTypeError) as refused:
        office.registers(shop.url, "order.placed.v1", "order.plcaed.v1")

    assert refused.value.event_types == ["order.plcaed.v1"]
    assert office.endpoints.all() == []


def test_a_change_of_a_version_nobody_has_any_more_is_refused(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    office.changes(endpoint, version=1, description="one")

    with pytest.raises(VersionMismatchError) as refused:
        office.changes(endpoint, version=1, description="two")

    assert refused.value.version == 2
    assert office.endpoints.get(endpoint.endpoint_id).description == "one"


def test_of_two_who_change_one_version_one_is_told(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url)
    office.endpoints.save(endpoint.changed(EndpointChange(description="one")))

    with pytest.raises(StaleError):
        office.endpoints.save(endpoint.changed(EndpointChange(description="two")))


def test_an_endpoint_somebody_just_changed_is_not_disabled_over_it(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    shop.status = 410
    changed = office.changes(endpoint, description="mended just now")
    office.hears(an_event())
    office.changes(changed, enabled=True)

    assert not office.endpoints.disable(endpoint, DisabledReason.GONE)
    assert office.standing(endpoint)[0] == EndpointStatus.ENABLED


def test_deliveries_are_listed_newest_first_by_status_and_by_page(
    office: Office, shop: Merchant
) -> None:
    endpoint = office.registers(shop.url)
    for number in range(6):
        shop.status = 500 if number % 2 else 200
        office.hears(an_event(number))
        office.passes(timedelta(seconds=1))

    first, position = office.deliveries.of_endpoint(endpoint.endpoint_id, None, 4, None)
    rest, end = office.deliveries.of_endpoint(endpoint.endpoint_id, None, 4, position)
    waiting, _ = office.deliveries.of_endpoint(
        endpoint.endpoint_id, DeliveryStatus.WAITING, 10, None
    )

    assert [one.event_id for one in (*first, *rest)] == [f"evt_{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert end is None
    assert [one.event_id for one in waiting] == ["evt_5", "evt_3", "evt_1"]


def test_a_test_is_sent_once_and_never_again_by_itself(office: Office, shop: Merchant) -> None:
    endpoint = office.registers(shop.url, "order.confirmed.v1")
    shop.status = 500

    def tests(reference: str) -> str:
        return webhooks.send_test(
            endpoint.endpoint_id,
            reference=reference,
            correlation_id="cor_1",
            endpoints=office.endpoints,
            deliveries=office.deliveries,
            secrets=office.secrets,
            post=office.post,
            now=office.now,
        )

    event_ids = [tests("t1"), tests("t1"), tests("t2")]
    office.passes(timedelta(days=1))
    office.strikes()

    assert shop.event_ids == [event_ids[0], event_ids[2]]
    assert json.loads(shop.received[0].body)["type"] == "webhook.test.v1"
    assert office.status(endpoint, event_ids[0]) == "FAILED"
    assert office.endpoints.get(endpoint.endpoint_id).failing_since is None
