"""When an event is sent again, and when nobody tries any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from notifications.deliveries import (
    RETRY_AFTER,
    Answer,
    Attempt,
    Delivery,
    DeliveryStatus,
    PublishedEvent,
    next_attempt_at,
)
from notifications.endpoints import DEAD_AFTER

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
TAKEN = Answer(5, 200)
REFUSED = Answer(5, 500)
WAITING = Delivery(
    endpoint_id="whe_1",
    event=PublishedEvent("evt_1", "order.placed.v1", "{}"),
    status=DeliveryStatus.WAITING,
    attempts=1,
    tries=1,
    next_attempt_at=NOON,
    created_at=NOON,
)


def attempted(answer: Answer, *, by_hand: bool = False, at: datetime = NOON) -> Attempt:
    return Attempt(number=1, at=at, by_hand=by_hand, answer=answer)


def test_each_wait_is_longer_than_the_one_before_and_all_are_three_days() -> None:
    assert sorted(set(RETRY_AFTER)) == list(RETRY_AFTER)
    assert timedelta(days=3) < sum(RETRY_AFTER, timedelta()) < timedelta(days=4)
    assert sum(RETRY_AFTER, timedelta()) >= DEAD_AFTER


@pytest.mark.parametrize("tries", range(1, len(RETRY_AFTER) + 1))
def test_an_attempt_comes_after_its_wait_and_at_most_a_fifth_later(tries: int) -> None:
    wait = RETRY_AFTER[tries - 1]
    moments = {next_attempt_at(tries, NOON, chance) for chance in (0, 1, 12_345, 2**32 - 1)}

    assert all(NOON + wait <= moment < NOON + wait * 1.2 for moment in moments if moment)
    assert len(moments) > 1


def test_after_the_last_try_there_is_no_other() -> None:
    last = replace(WAITING, tries=len(RETRY_AFTER) + 1)

    failed = last.after(attempted(REFUSED), chance=0)

    assert (failed.status, failed.next_attempt_at) == (DeliveryStatus.FAILED, None)


def test_what_was_taken_is_not_sent_again() -> None:
    delivered = WAITING.after(attempted(TAKEN), chance=0)

    assert (delivered.status, delivered.next_attempt_at) == (DeliveryStatus.DELIVERED, None)
    assert delivered.delivered_at == NOON


def test_a_failure_by_hand_leaves_the_schedule_as_it_was() -> None:
    assert WAITING.after(attempted(REFUSED, by_hand=True), chance=0) == WAITING


@pytest.mark.parametrize("status", [DeliveryStatus.DELIVERED, DeliveryStatus.FAILED])
def test_a_failure_by_hand_undoes_no_end(status: DeliveryStatus) -> None:
    ended = replace(WAITING, status=status, next_attempt_at=None)

    assert ended.after(attempted(REFUSED, by_hand=True), chance=0) == ended


def test_what_failed_can_still_be_delivered_by_hand() -> None:
    failed = replace(WAITING, status=DeliveryStatus.FAILED, next_attempt_at=None)

    assert failed.after(attempted(TAKEN, by_hand=True), chance=0).status == DeliveryStatus.DELIVERED


def test_a_second_success_does_not_change_when_it_was_delivered() -> None:
    delivered = WAITING.after(attempted(TAKEN), chance=0)
    later = attempted(TAKEN, by_hand=True, at=NOON + timedelta(days=1))

    assert delivered.after(later, chance=0).delivered_at == NOON


def test_a_test_that_failed_is_not_tried_again() -> None:
    unscheduled = replace(WAITING, next_attempt_at=None)

    assert unscheduled.after(attempted(REFUSED, by_hand=True), chance=0).status == "FAILED"
