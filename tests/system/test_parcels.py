"""Parcels on the stack: the carrier tells of them by webhook, and orders and money follow."""

from __future__ import annotations

import itertools
import json
import sys
from datetime import timedelta
from typing import Any

import boto3
import pytest

from tests.fakes.shipping import QuietCarrier
from tests.system.books import carrier_booking, items, provider_charge
from tests.system.parcels import Bought, bought, run, secret, sent
from tests.system.shopper import Town
from tradepost.kernel.clock import utc_now
from tradepost.platform import aws
from tradepost.platform.webhooks import signed_headers


@pytest.fixture
def parcel(town: Town) -> Bought:
    town.sells("MUG", on_hand=10)
    return bought(town)


def claims_of(parcel: Bought) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parcel.buyer.get(
        f"/v1/shipments/{parcel.order_id}/claims"
    ).json()["claims"]
    return found


def unheard(queue: str) -> int:
    """Count the messages of a queue that were not dealt with."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=f"tradepost-local-{queue}")["QueueUrl"]
    counted = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(counted))["Attributes"]
    return sum(int(attributes[name]) for name in counted)


def test_a_confirmed_order_has_a_label_and_its_parcel_has_not_left(parcel: Bought) -> None:
    assert (parcel.status, parcel.shipment["handed_over_at"]) == ("LABELLED", None)
    assert parcel.shipment["label"].startswith("lbl_")


def test_a_parcel_goes_its_way_and_its_order_follows(parcel: Bought) -> None:
    seen = []
    for event in ("collected", "in_transit", "delivered"):
        parcel.befalls(event)
        seen.append((parcel.status, parcel.order["status"]))

    assert seen == [
        ("DISPATCHED", "SHIPPED"),
        ("IN_TRANSIT", "SHIPPED"),
        ("DELIVERED", "DELIVERED"),
    ]
    assert [scan["event"] for scan in parcel.shipment["scans"]] == [
        "label_created",
        "collected",
        "in_transit",
        "delivered",
    ]


def test_the_staff_pick_dispatch_and_deliver_a_parcel(parcel: Bought) -> None:
    seen = []
    for path in ("pick", "dispatch", "delivery"):
        assert parcel.staff(path).status_code == 200
        parcel.town.settles()
        seen.append((parcel.status, parcel.order["status"]))

    assert seen == [
        ("PICKED", "CONFIRMED"),
        ("DISPATCHED", "SHIPPED"),
        ("DELIVERED", "DELIVERED"),
    ]


@pytest.mark.parametrize(("last", "status"), [("delivered", "DELIVERED"), ("failed", "FAILED")])
def test_every_order_of_a_parcels_webhooks_has_one_end_for_everybody(
    lasting_town: Town, last: str, status: str
) -> None:
    ends = set()
    start = utc_now().replace(microsecond=0)
    events = ["label_created", "collected", "in_transit", last]
    times = {event: start + timedelta(hours=hour) for hour, event in enumerate(events, start=1)}
    lasting_town.sells("MUG", on_hand=1_000)
    for order in itertools.permutations(events):
        parcel = bought(lasting_town)
        for event in [*order, *order]:
            reason = {"reason": "lost"} if event == "failed" else {}
            assert parcel.hears(event, at=times[event], **reason).status_code == 204
        lasting_town.settles()
        shipment = parcel.shipment
        # The first one is the simulated carrier's own, of the label it sold.
        scans = tuple(one["event"] for one in shipment["scans"][1:])
        claims = tuple(claim["kind"] for claim in claims_of(parcel))
        ends.add((shipment["status"], shipment["handed_over_at"], scans, claims))

    ((end, handed_over_at, scans, claims),) = ends
    assert end == status
    assert handed_over_at == times["collected"].isoformat().replace("+00:00", "Z")
    assert scans == tuple(events)
    assert claims == (("not_delivered",) if last == "failed" else ())


def test_nothing_is_dispatched_before_its_order_is_confirmed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.sells("MUG", on_hand=10)
    tried: list[tuple[str, int, str]] = []
    whole = town.stack.functions.run

    def after_the_booking(name: str, payload: str) -> Any:
        answer = whole(name, payload)
        if name.endswith("shipping-book_shipment"):
            order_id = json.loads(payload)["order_id"]
            for path in ("pick", "dispatch", "delivery"):
                refused = town.admin.post(f"/v1/shipments/{order_id}/{path}")
                tried.append((path, refused.status_code, refused.json()["code"]))
        return answer

    monkeypatch.setattr(town.stack.functions, "run", after_the_booking)
    parcel = bought(town)

    assert tried == [
        (path, 409, "shipment_transition") for path in ("pick", "dispatch", "delivery")
    ]
    assert parcel.status == "LABELLED"


def test_a_parcel_of_an_order_that_failed_can_never_leave(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    order_id = guest.checks_out(guest.fills_cart(MUG=1), method="pm_capture_refused").json()[
        "order_id"
    ]
    town.settles()

    refused = town.admin.post(f"/v1/shipments/{order_id}/dispatch")

    assert (refused.status_code, refused.json()["code"]) == (409, "shipment_transition")
    booking = carrier_booking(order_id)
    assert booking is not None
    assert booking["status"] == "CANCELLED"


def test_a_webhook_of_an_unknown_parcel_is_refused(parcel: Bought) -> None:
    refused = parcel.hears("collected", at=utc_now(), tracking_number="trk_unknown")

    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_parcel")


def a_body(parcel: Bought) -> str:
    told = {
        "tracking_number": parcel.number,
        "event": "delivered",
        "occurred_at": utc_now().isoformat(),
    }
    return json.dumps(told)


def test_a_webhook_that_nobody_signed_just_now_changes_nothing(parcel: Bought) -> None:
    body = a_body(parcel)
    right = signed_headers(secret(parcel.town), "msg_1", body, at=utc_now())
    old = utc_now() - timedelta(minutes=6)
    forgeries = [
        {},
        signed_headers("a" * 64, "msg_1", body, at=utc_now()),
        signed_headers(secret(parcel.town), "msg_1", body, at=old),
        signed_headers(secret(parcel.town), "msg_1", body + " ", at=utc_now()),
        {**right, "webhook-id": "msg_2"},
        {**right, "webhook-signature": right["webhook-signature"][:-4]},
    ]

    answers = [sent(parcel.town, body, headers=headers) for headers in forgeries]

    assert {(one.status_code, one.json()["code"]) for one in answers} == {
        (401, "invalid_signature")
    }
    assert parcel.status == "LABELLED"


def test_a_webhook_is_heard_once_however_often_it_is_replayed(parcel: Bought) -> None:
    body = a_body(parcel)
    headers = signed_headers(secret(parcel.town), "msg_1", body, at=utc_now())

    answers = [sent(parcel.town, body, headers=headers).status_code for _ in range(3)]
    parcel.town.settles()

    told = [
        mail["subject"]
        for mail in parcel.town.stack.mailbox.list("grace@example.com")
        if "arrived" in mail["subject"] or "delivered" in mail["subject"].lower()
    ]
    assert answers == [204, 204, 204]
    assert len(told) == 1
    assert [scan["event"] for scan in parcel.shipment["scans"]].count("delivered") == 1


def test_the_secret_before_this_one_is_believed_while_it_is_changed(parcel: Bought) -> None:
    name = parcel.town.stack.outputs["CarrierWebhookSecret"]
    current = secret(parcel.town)
    client = aws._client("secretsmanager")
    client.put_secret_value(
        SecretId=name, SecretString=json.dumps({"current": "n" * 64, "previous": current})
    )
    aws.forget_clients()
    body = a_body(parcel)
    try:
        by_old = sent(parcel.town, body, headers=signed_headers(current, "m", body, at=utc_now()))
        by_new = sent(parcel.town, body, headers=signed_headers("n" * 64, "m", body, at=utc_now()))
    finally:
        client.put_secret_value(SecretId=name, SecretString=json.dumps({"current": current}))
        aws.forget_clients()

    assert (by_old.status_code, by_new.status_code) == (204, 204)


def test_a_webhook_that_is_too_large_is_not_read(parcel: Bought) -> None:
    body = json.dumps({"padding": "x" * 20_000})

    refused = sent(parcel.town, body)

    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("event", "code"), [("delivered", "parcel_event"), ("vanished", "parcel_event")]
)
def test_the_simulated_carrier_does_not_do_the_impossible(
    parcel: Bought, event: str, code: str
) -> None:
    refused = parcel.town.admin.post(f"/v1/simulator/parcels/{parcel.number}/{event}")

    assert (refused.status_code, refused.json()["code"]) == (409, code)


def test_a_real_carriers_parcels_are_moved_by_nobody_here(
    parcel: Bought, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["functions_shipping_app"], "carrier", QuietCarrier)

    refused = parcel.town.admin.post(f"/v1/simulator/parcels/{parcel.number}/collected")

    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_parcel")


def test_the_simulated_carrier_knows_its_own_parcels_only(parcel: Bought) -> None:
    refused = parcel.town.admin.post("/v1/simulator/parcels/trk_unknown/collected")

    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_parcel")


def money_is_back(parcel: Bought) -> None:
    payment = parcel.town.payment(parcel.order_id)
    charge = provider_charge(parcel.order_id)
    assert charge is not None
    assert payment["refunded"] == payment["captured"]
    assert charge["refunded_minor"] == charge["captured_minor"] == 2500


def test_a_parcel_that_fails_in_our_house_undoes_its_order(parcel: Bought) -> None:
    parcel.befalls("failed")

    order = parcel.order
    assert (order["status"], order["reason"]) == ("CANCELLED", "carrier_failed")
    assert parcel.status == "CANCELLED"
    assert parcel.town.level("MUG") == (10, 0)
    assert claims_of(parcel) == []
    money_is_back(parcel)


def test_a_label_that_is_refused_undoes_its_order(town: Town) -> None:
    town.sells("MUG", on_hand=10)

    parcel = bought(town, postal_code="CARRIER-NO-LABEL")

    assert parcel.order["status"] == "CANCELLED"
    assert town.level("MUG") == (10, 0)
    money_is_back(parcel)


def test_a_parcel_that_fails_on_its_way_is_claimed_and_paid_back_once(parcel: Bought) -> None:
    parcel.befalls("collected", "failed")

    (claim,) = claims_of(parcel)
    path = f"claims/{claim['claim_id']}/acceptance"
    body = {"amount": {"amount_minor": 2500, "currency": "GBP"}}
    accepted = [parcel.staff(path, body) for _ in range(2)]
    parcel.town.settles()

    assert (claim["kind"], claim["status"]) == ("not_delivered", "OPEN")
    assert [answer.json()["status"] for answer in accepted] == ["ACCEPTED", "ACCEPTED"]
    assert parcel.order["status"] == "SHIPPED"
    assert parcel.town.level("MUG") == (8, 0)
    money_is_back(parcel)


@pytest.mark.parametrize(("refunded", "left"), [(1500, 1000), (2500, None)])
def test_a_claim_above_what_is_left_pays_what_is_left_and_nobody_waits_for_the_rest(
    parcel: Bought, refunded: int, left: int | None
) -> None:
    parcel.befalls("collected", "failed")
    town, path = parcel.town, f"/v1/payments/{parcel.order_id}/refunds"
    by_hand = {"amount": {"amount_minor": refunded, "currency": "GBP"}, "reason": "late"}
    town.admin.post(path, by_hand, Idempotency_Key="late")
    (claim,) = claims_of(parcel)

    promised = {"amount": {"amount_minor": 2500, "currency": "GBP"}}
    accepted = parcel.staff(f"claims/{claim['claim_id']}/acceptance", promised)
    town.settles()

    assert accepted.json()["status"] == "ACCEPTED"
    refunds = town.payment(parcel.order_id)["refunds"]
    assert [one["amount"]["amount_minor"] for one in refunds if one["reason"] != "late"] == (
        [left] if left else []
    )
    assert unheard("payments-facts") == 0
    money_is_back(parcel)


def test_a_failure_told_before_the_collection_is_still_one_on_its_way(parcel: Bought) -> None:
    parcel.advances("collected", "failed")
    late = utc_now()

    heard = parcel.hears("failed", at=late, reason="lost")
    parcel.town.settles()

    assert heard.status_code == 204
    assert parcel.status == "FAILED"
    assert parcel.order["status"] == "SHIPPED"
    assert len(claims_of(parcel)) == 1


def test_a_customer_claims_a_damaged_parcel_and_staff_find_it(parcel: Bought) -> None:
    parcel.befalls("collected", "delivered")

    opened = parcel.customer("claims", {"kind": "damaged", "description": "the handle broke"})
    waiting = parcel.town.admin.get("/v1/staff/claims").json()["claims"]

    assert opened.status_code == 201
    assert [claim["claim_id"] for claim in waiting] == [opened.json()["claim_id"]]


def test_a_claim_is_rejected_without_money(parcel: Bought) -> None:
    parcel.befalls("collected", "delivered")
    claim = parcel.customer("claims", {"kind": "damaged", "description": "a scratch"}).json()

    rejected = parcel.staff(f"claims/{claim['claim_id']}/rejection")
    parcel.town.settles()
    too_late = parcel.staff(
        f"claims/{claim['claim_id']}/acceptance",
        {"amount": {"amount_minor": 1, "currency": "GBP"}},
    )

    assert rejected.json()["status"] == "REJECTED"
    assert (too_late.status_code, too_late.json()["code"]) == (409, "claim_decided")
    assert parcel.town.payment(parcel.order_id)["refunded"]["amount_minor"] == 0


@pytest.mark.parametrize(
    ("events", "kind", "code"),
    [
        ((), "damaged", "claim_not_possible"),
        (("collected",), "not_delivered", "claim_too_early"),
        (("collected", "delivered"), "not_delivered", "claim_not_possible"),
    ],
)
def test_a_claim_without_ground_is_refused(
    parcel: Bought, events: tuple[str, ...], kind: str, code: str
) -> None:
    parcel.befalls(*events)

    refused = parcel.customer("claims", {"kind": kind, "description": "where is it?"})

    assert (refused.status_code, refused.json()["code"]) == (409, code)


@pytest.mark.parametrize(
    ("amount", "status", "code"),
    [
        ({"amount_minor": 2501, "currency": "GBP"}, 409, "claim_too_large"),
        ({"amount_minor": 100, "currency": "EUR"}, 422, "claim_currency_mismatch"),
    ],
)
def test_a_claim_is_bounded_by_what_the_order_cost(
    parcel: Bought, amount: dict[str, Any], status: int, code: str
) -> None:
    parcel.befalls("collected", "failed")
    (claim,) = claims_of(parcel)

    refused = parcel.staff(f"claims/{claim['claim_id']}/acceptance", {"amount": amount})

    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_a_carrier_that_is_not_heard_at_first_tells_it_again(
    parcel: Bought, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = parcel.town.stack.functions.run
    answers = itertools.count()

    def busy_at_first(name: str, payload: str) -> Any:
        is_webhook = name.endswith("shipping-api_handler") and "webhooks/carrier" in payload
        if is_webhook and next(answers) < 2:
            return json.dumps({"errorType": "Any", "errorMessage": "on purpose"}), True
        return whole(name, payload)

    monkeypatch.setattr(parcel.town.stack.functions, "run", busy_at_first)
    parcel.befalls("collected")

    assert parcel.status == "DISPATCHED"


def test_the_hold_of_an_order_can_be_asked_for(parcel: Bought) -> None:
    facts = run("inventory-hold_facts", order_id=parcel.order_id)

    (chunk,) = facts["chunks"]
    assert (chunk["state"], chunk["lines"]) == ("COMMITTED", [{"sku": "MUG", "quantity": 2}])
    assert run("inventory-holds_past_due") == {"order_ids": []}
    assert items("inventory", f"HOLD#{parcel.order_id}")["CHUNK#0000"]["state"] == "COMMITTED"
