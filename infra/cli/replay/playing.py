"""The invoices as checkouts: several buyers at once, each buyer's own one after another."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

from infra.cli.books import OrderBook
from infra.cli.buying import CheckoutStuckError, Purchase, buy, growing_pauses, seconds_now
from infra.cli.progress import Advance
from infra.cli.replay.catalogue import CURRENCY, Invoice
from infra.cli.replay.identity import Run, address_of
from infra.cli.shop import Session, Shop, ShopRefusedError, guest_session

# What an order's status is while its checkout still runs.
UNFINISHED = {"PENDING", "CAPTURING", "CANCELLING"}

_EARLIER_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one invoice. Seconds are the stopwatch's; None: an earlier replay's order."""

    invoice: Invoice
    order_id: str | None
    problem: str | None  # why it is no confirmed order, in one line
    began: float | None = None
    ended: float | None = None


class Turns:
    """Hands out invoices in the file's order, passing over a buyer who is still buying.

    One customer has one cart: two of their invoices at once would meet in it.
    """

    def __init__(self, invoices: Sequence[Invoice]) -> None:
        self._waiting = list(invoices)
        self._buying: set[str] = set()
        self._changed = threading.Condition()
        self._stopped = False

    def __iter__(self) -> Iterator[Invoice]:
        """Yield invoices to one of several threads; the buyer is free when it asks for the next."""
        while (invoice := self._next()) is not None:
            try:
                yield invoice
            finally:
                self._free(invoice.customer)

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self) -> Invoice | None:
        with self._changed:
            while self._waiting and not self._stopped:
                for at, invoice in enumerate(self._waiting):
                    if invoice.customer not in self._buying:
                        del self._waiting[at]
                        if invoice.customer is not None:
                            self._buying.add(invoice.customer)
                        return invoice
                self._changed.wait()
            return None

    def _free(self, customer: str | None) -> None:
        with self._changed:
            if customer is not None:
                self._buying.discard(customer)
            self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Player:
    """Plays invoices of one run. `customers` holds a session for each known buyer."""

    shop: Shop
    staff: Session
    run: Run
    customers: Mapping[str, Session]
    earlier: Mapping[str, OrderBook]  # by invoice: what an interrupted replay left

    def play_all(
        self, invoices: Sequence[Invoice], concurrency: int, advance: Advance
    ) -> list[Played]:
        """Play every invoice; a refused one is reported and does not stop the others.

        Raises
        ------
        ShopUnreachableError
            The shop went away. What was played stays; the same command goes on from there.
        """
        turns = Turns(invoices)
        played: list[Played] = []

        def play_turns() -> None:
            try:
                for invoice in turns:
                    played.append(self.play(invoice))
                    advance()
            except BaseException:
                turns.stop()
                raise

        with ThreadPoolExecutor(concurrency) as pool:
            futures = [pool.submit(play_turns) for _ in range(concurrency)]
            try:
                for future in futures:
                    future.result()
            finally:
                turns.stop()
        return played

    def play(self, invoice: Invoice) -> Played:
        """Play one invoice, or wait for the order it has already."""
        earlier = self.earlier.get(invoice.number)
        if earlier is not None:
            return self._await_earlier(invoice, earlier)
        return self._play_anew(invoice)

    def _play_anew(self, invoice: Invoice) -> Played:
        buyer = guest_session(self.shop)
        if invoice.customer is not None:
            buyer = self.customers[invoice.customer]
        began = seconds_now()
        try:
            outcome = buy(buyer, self._purchase(invoice))
        except (ShopRefusedError, CheckoutStuckError) as error:
            return Played(invoice, None, str(error), began, seconds_now())
        problem = None
        if outcome.status != "CONFIRMED":
            problem = f"{outcome.status}: {outcome.reason}"
        return Played(invoice, outcome.order_id, problem, began, seconds_now())

    def _purchase(self, invoice: Invoice) -> Purchase:
        return Purchase(
            lines={line.sku: line.quantity for line in invoice.lines},
            total_minor=invoice.total_minor,
            currency=CURRENCY,
            email=self.run.email_of(invoice.number),
            address=address_of(invoice),
            key=self.run.checkout_key(invoice.number),
        )

    def _await_earlier(self, invoice: Invoice, earlier: OrderBook) -> Played:
        """Ask as staff: the guest who placed the order is gone, with their token."""
        status = earlier.status
        pauses = iter(growing_pauses(_EARLIER_PATIENCE_SECONDS))
        while status in UNFINISHED and (pause := next(pauses, None)) is not None:
            self.shop.pause(pause)
            status = self.staff.call("GET", f"/v1/orders/{quote(earlier.order_id)}")["status"]
        problem = f"still {status}" if status in UNFINISHED else None
        return Played(invoice, earlier.order_id, problem)
