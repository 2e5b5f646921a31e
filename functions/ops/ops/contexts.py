"""The contexts, asked through their functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from ops.model import Books, ChargeFacts, Finding, MoneyFacts, OrderFacts, Repair, Sums
from tradepost.kernel.clock import from_text, to_text
from tradepost.platform.questions import Questions

_REPAIRS = {
    Repair.SETTLE_PAYMENT: "payments-settle",
    Repair.GIVE_MONEY_BACK: "payments-give_back",
    Repair.FREE_CHARGE: "payments-free_stray_charge",
    Repair.RELEASE_STOCK: "inventory-release_stock",
    Repair.COMMIT_STOCK: "inventory-commit_stock",
    Repair.CONFIRM_AGAIN: "orders-confirm_again",
    Repair.RUN_AGAIN: "orders-run_again",
}


class AskedContexts:
    """The owners of the books, by invoking their functions. Satisfies `ports.Contexts`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def orders_of_day(self, day: date, after: Any) -> tuple[list[str], Any]:
        asked = {"day": day.isoformat(), "after": after}
        answer = self._questions.ask("orders-orders_of_day", asked)
        return [order["order_id"] for order in answer["orders"]], answer["after"]

    def orders_changed(self, start: datetime, end: datetime, after: Any) -> tuple[list[str], Any]:
        asked = {"start": to_text(start), "end": to_text(end), "after": after}
        answer = self._questions.ask("orders-orders_changed", asked)
        return list(answer["order_ids"]), answer["after"]

    def charges_between(
        self, start: datetime, end: datetime, after: Any
    ) -> tuple[list[ChargeFacts], Any]:
        asked = {"start": to_text(start), "end": to_text(end), "after": after}
        answer = self._questions.ask("payments-charges_between", asked)
        return [_to_charge(charge) for charge in answer["charges"]], answer["after"]

    def is_known(self, order_id: str) -> bool:
        return self._standing(order_id)["status"] is not None

    def holds_past_due(self) -> list[str]:
        order_ids: list[str] = self._questions.ask("inventory-holds_past_due", {})["order_ids"]
        return order_ids

    def books_of(self, order_id: str) -> Books:
        asked = {"order_id": order_id}
        hold = self._questions.ask("inventory-hold_facts", asked)
        shipment = self._questions.ask("shipping-shipment_facts", asked)
        money = self._questions.ask("payments-payment_facts", asked)
        # The order comes last: what it says now was true of the others when they were asked, or
        # it is at work, and then it is not compared.
        return Books(
            order=_to_order(order_id, self._standing(order_id)),
            money=_to_money(money),
            hold=_to_hold(hold["chunks"]),
            shipment=shipment["status"],
            awaits_money=shipment["awaits_money"],
        )

    def mend(self, finding: Finding) -> None:
        assert finding.repair is not None
        asked = {
            "order_id": finding.order_id,
            "reference": finding.reference,
            "correlation_id": f"reconciliation:{finding.order_id}",
        }
        self._questions.ask(_REPAIRS[finding.repair], asked)

    def _standing(self, order_id: str) -> dict[str, Any]:
        return self._questions.ask("orders-order_standing", {"order_id": order_id})


def _to_order(order_id: str, standing: dict[str, Any]) -> OrderFacts:
    if standing["status"] is None:
        return OrderFacts(order_id, None)
    return OrderFacts(
        order_id,
        standing["status"],
        standing["total_minor"],
        standing["currency"],
        from_text(standing["updated_at"]),
    )


def _to_money(answer: dict[str, Any]) -> MoneyFacts:
    return replace(
        _to_paid(answer),
        ledger=_to_sums(answer["ledger"]),
        supplements=tuple(_to_paid(told) for told in answer["supplements"]),
    )


def _to_paid(told: dict[str, Any]) -> MoneyFacts:
    payment, charge = told["payment"], told["charge"]
    return MoneyFacts(
        currency=payment["currency"] if payment else "",
        payment_status=payment["status"] if payment else None,
        payment=_to_sums(payment),
        charge_status=charge["status"] if charge else None,
        charge=_to_sums(charge),
    )


def _to_charge(told: dict[str, Any]) -> ChargeFacts:
    return ChargeFacts(
        told["order_id"], told["reference"], told["status"], _to_sums(told), told["is_ours"]
    )


def _to_hold(chunks: list[dict[str, Any]]) -> str | None:
    bought = [chunk for chunk in chunks if not chunk["added_by"]]
    if not bought:
        return None
    # What an edit held that came to nothing was given back, and says nothing of the order.
    added = [chunk for chunk in chunks if chunk["added_by"] and chunk["state"] != "RELEASED"]
    states = {chunk["state"] for chunk in [*bought, *added]}
    is_whole = len(bought) == bought[0]["total"]
    return states.pop() if len(states) == 1 and is_whole else "MIXED"


def _to_sums(told: dict[str, Any] | None) -> Sums:
    return Sums(told["captured_minor"], told["refunded_minor"]) if told else Sums()
