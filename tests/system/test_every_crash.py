"""Every step of the checkout, failing, dying, answering twice and overtaken: the books agree."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.books import agree
from tests.system.faults import (
    Fault,
    Faults,
    answers_twice,
    dies_after,
    dies_before,
    fails_after,
    fails_before,
    is_throttled,
    loses_its_answer,
    run_whole,
)
from tests.system.kinds import (
    ALWAYS,
    EVERY_CALL,
    EVERY_STEP,
    FORWARD,
    PATHS,
    UNDO,
    Shop,
)


@pytest.mark.parametrize("kind", PATHS)
def test_the_books_agree_when_nothing_fails(shop: Shop, kind: str) -> None:
    assert shop.ends(kind) == PATHS[kind][1]


@pytest.mark.parametrize("fault", [fails_before, fails_after, answers_twice])
@pytest.mark.parametrize(("kind", "step"), EVERY_STEP)
def test_a_step_that_fails_once_or_answers_twice_changes_no_end(
    shop: Shop, faults: Faults, kind: str, step: str, fault: Fault
) -> None:
    faults.at_step(step, fault)

    assert shop.ends(kind) == PATHS[kind][1]
    assert faults.fired == (2 if kind == "hold lost" else 1)


@pytest.mark.parametrize("fault", [dies_before, dies_after, is_throttled, loses_its_answer])
@pytest.mark.parametrize(("kind", "step"), EVERY_CALL)
def test_a_function_that_fails_at_any_call_of_aws_changes_no_end(
    shop: Shop, faults: Faults, kind: str, step: str, fault: Fault
) -> None:
    for number in faults.each_call():
        faults.at_call(step, number, fault)

        assert shop.ends(kind) == PATHS[kind][1], number


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        *[(step, fault) for step in FORWARD[2:5] for fault in (fails_before, fails_after)],
        ("orders-begin_capture", fails_before),
    ],
)
def test_a_step_before_the_pivot_that_keeps_failing_gives_everything_back(
    shop: Shop, faults: Faults, step: str, fault: Fault
) -> None:
    faults.at_step(step, fault, times=ALWAYS)

    assert shop.ends("approved") == "CANCELLED"


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("approved", "orders-begin_capture"),
        ("approved", "orders-confirm_order"),
        ("approved", "carts-consume_cart"),
        ("declined", "orders-cancel_order"),
        ("declined", "carts-thaw_cart"),
        ("hold lost", "orders-cancel_order"),
    ],
)
def test_an_order_whose_steps_answer_is_lost_each_time_goes_on_where_it_stands(
    shop: Shop, faults: Faults, kind: str, step: str
) -> None:
    faults.at_step(step, fails_after, times=ALWAYS)

    assert shop.ends(kind) == PATHS[kind][1]


@pytest.mark.parametrize("fault", [fails_before, fails_after])
@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("approved", "carts-read_checkout"),
        ("approved", "orders-place_order"),
        ("approved", "carts-consume_cart"),
        ("declined", "orders-place_order"),
        ("declined", "carts-thaw_cart"),
    ],
)
def test_a_checkout_that_could_not_begin_or_close_ends_when_it_is_run_again(
    shop: Shop, faults: Faults, kind: str, step: str, fault: Fault
) -> None:
    faults.at_step(step, fault, times=ALWAYS)
    guest, order_id, sku = shop.sells(kind)
    faults.clear()

    run_whole(shop.town, order_id)
    shop.town.settles()

    assert agree(shop.town, guest, order_id, sku=sku) == PATHS[kind][1]


@pytest.mark.parametrize("fault", [fails_before, fails_after])
@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("approved", "payments-capture_payment"),
        ("approved", "inventory-commit_stock"),
        *[(kind, step) for kind in ("declined", "hold lost") for step in UNDO[:4]],
    ],
)
def test_an_order_that_can_neither_go_on_nor_back_waits_for_a_person(
    shop: Shop, faults: Faults, kind: str, step: str, fault: Fault
) -> None:
    faults.at_step(step, fault, times=ALWAYS)
    guest, order_id, _ = shop.sells(kind)
    faults.clear()

    run_whole(shop.town, order_id)
    shop.town.settles()

    assert guest.get(f"/v1/orders/{order_id}").json()["status"] == "NEEDS_ATTENTION"
    assert guest.get(f"/v1/checkouts/{order_id}").json()["status"] == "UNDER_REVIEW"
    assert guest.get("/v1/cart").json()["status"] == "OPEN"


@pytest.mark.parametrize("turned_round", [False, True], ids=["the same way", "turned round"])
@pytest.mark.parametrize(("kind", "step"), EVERY_CALL)
def test_an_execution_overtaken_at_any_call_of_aws_ends_the_order_as_the_other_did(
    shop: Shop, faults: Faults, kind: str, step: str, turned_round: bool
) -> None:
    if turned_round:
        faults.turn_round("shipping-book_shipment", "CarrierRefusedError")

    def the_other_runs_whole(call: Callable[[], Any]) -> Any:
        run_whole(shop.town, faults.order_id)
        return call()

    for number in itertools.count():
        faults.clear()
        faults.at_call(step, number, the_other_runs_whole)
        ended = shop.ends(kind)
        if not faults.hit:
            break

        assert ended == PATHS[kind][1] or turned_round, number
