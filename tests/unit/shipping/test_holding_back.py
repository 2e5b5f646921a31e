"""A parcel held back while its order is edited: not packed meanwhile, and free afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shipping.model.goods import ParcelLine
from shipping.model.shipment import (
    ParcelPackedError,
    Shipment,
    ShipmentStatus,
    ShipmentTransitionError,
    SplitNotPossibleError,
)


def labelled(**facts: Any) -> Shipment:
    parcel = Shipment(
        order_id="ord_1",
        customer_id="usr_1",
        status=ShipmentStatus.LABELLED,
        carrier="simulator",
        tracking_number="trk_1",
        service="economy",
        correlation_id="cor_1",
        version=1,
    )
    return replace(parcel, **facts)


def test_a_parcel_held_back_is_neither_packed_nor_divided() -> None:
    parcel = labelled().held_back(1)

    with pytest.raises(ShipmentTransitionError):
        parcel.require_may_leave(ShipmentStatus.PICKED)
    with pytest.raises(SplitNotPossibleError):
        parcel.splitting_off("prc_1", [ParcelLine("MUG", 1)], {"MUG": 2})


def test_a_parcel_let_go_may_be_packed() -> None:
    parcel = labelled().held_back(1).let_go(1)

    parcel.require_may_leave(ShipmentStatus.PICKED)


def test_a_parcel_is_held_back_once_and_not_for_an_edit_that_is_over() -> None:
    held = labelled().held_back(1)
    free = held.let_go(1)

    assert held.held_back(1) is held
    assert free.held_back(1) is free
    assert free.let_go(1) is free
    assert labelled().let_go(1).held_back(1).is_held_back is False


def test_a_parcel_is_held_back_for_each_edit_anew() -> None:
    assert labelled().held_back(1).let_go(1).held_back(2).is_held_back


@pytest.mark.parametrize(
    "facts",
    [
        *[{"status": status} for status in ShipmentStatus if status not in ("BOOKED", "LABELLED")],
        {"others": (labelled(number=2, parcel_id="prc_1"),)},
        {"is_captured_on_leaving": True},
    ],
)
def test_a_parcel_packed_divided_or_paid_for_on_leaving_is_not_held_back(
    facts: dict[str, Any],
) -> None:
    with pytest.raises(ParcelPackedError):
        labelled(**facts).held_back(1)


def test_a_parcel_that_was_held_back_in_time_stays_so_for_whoever_asks_again() -> None:
    parcel = replace(labelled().held_back(1), status=ShipmentStatus.FAILED)

    assert parcel.held_back(1) is parcel
