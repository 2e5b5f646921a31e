"""The order of a replay: read, prepare, sell, take back, reconcile, tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from infra.cli.books import Books, OrderBook, StockBook, UnreadableBooksError
from infra.cli.buying import VISITED_MAX, await_on_sale, growing_pauses, seconds_now
from infra.cli.progress import Phases
from infra.cli.replay.catalogue import ImpliedShop, implied_shop, units_of
from infra.cli.replay.identity import RUN_NAME, Run, account_of, run_of
from infra.cli.replay.matching import match
from infra.cli.replay.planning import Kind, Reversal, plan, reversals_by_invoice
from infra.cli.replay.playing import UNFINISHED, Played, Player
from infra.cli.replay.preparing import (
    COUNTS_PER_REQUEST,
    PRODUCTS_PER_REQUEST,
    batches,
    count_stock,
    counts_to_make,
    in_parallel,
    open_account,
    publish,
)
from infra.cli.replay.reading import UnreadableFileError, read_history
from infra.cli.replay.reconciling import (
    SOLD,
    TAKEN_BACK,
    Claims,
    Reconciliation,
    gather,
    reconcile,
    restocked_so_far,
)
from infra.cli.replay.report import Replayed, print_report, report_of, write_list, write_matches
from infra.cli.replay.reversing import RECEIVED, Reverser
from infra.cli.replay.timing import timing_of
from infra.cli.shop import (
    Session,
    Shop,
    ShopRefusedError,
    ShopUnreachableError,
    guest_session,
    session_of,
)
from infra.cli.staff import NoCredentialsError

EXIT_AGREES = 0
EXIT_DIFFERS = 1
EXIT_NOT_PLAYED = 2

# Refunds and projections may settle a moment after they were answered.
_SETTLING_PAUSES_SECONDS = (1.0, 2.0, 4.0)
# What an interrupted replay set going ends within this.
_EARLIER_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asked for. `run` None is named after the file."""

    file: Path
    limit: int | None = None
    concurrency: int = 4
    run: str | None = None
    services_sold: bool = False
    as_json: bool = False
    list_to: Path | None = None
    matched_to: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replay takes place. Who plays and the books are asked for when a file is read."""

    shop: Shop
    staff: Callable[[], Session]
    books: Callable[[], Books]
    phases: Phases


def run_replay(options: Options, place: Place, out: Console, err: Console) -> int:
    """Replay a file and print the reconciliation; the answer is the exit status.

    0: everything agrees. 1: something differs. 2: it could not be played; the reason is one line.
    """
    try:
        replayed = _replay(options, place)
    except (
        UnreadableFileError,
        UnreadableBooksError,
        ShopRefusedError,
        ShopUnreachableError,
        NoCredentialsError,
        OSError,
    ) as error:
        err.print(f"replay: {error}", markup=False, highlight=False, soft_wrap=True)
        return EXIT_NOT_PLAYED
    report = report_of(replayed)
    if options.as_json:
        out.file.write(json.dumps(report, indent=2) + "\n")
    else:
        print_report(report, out)
    return EXIT_AGREES if replayed.reconciliation.agrees else EXIT_DIFFERS


def _replay(options: Options, place: Place) -> Replayed:
    began = seconds_now()
    history = read_history(options.file)
    shop = implied_shop(history, limit=options.limit, services_sold=options.services_sold)
    if not shop.invoices:
        raise UnreadableFileError(f"{options.file.name} holds no sale")
    run = _run(options)
    matching = match(shop.cancelled, shop.invoices)
    reversals = plan(matching.matches)
    if options.list_to is not None:
        write_list(options.list_to, history, shop, matching)
    if options.matched_to is not None:
        write_matches(options.matched_to, reversals)
    with place.phases:
        replay = _Replay(
            place, place.staff(), place.books(), run, shop, reversals, options.concurrency
        )
        end = replay.play()
    return Replayed(
        run=run.name,
        history=history,
        shop=shop,
        matching=matching,
        reversals=reversals,
        reconciliation=end.reconciliation,
        timing=timing_of(end.played),
        problems=end.problems,
        taking_back_seconds=end.taking_back_seconds,
        seconds=seconds_now() - began,
    )


def _run(options: Options) -> Run:
    if options.run is None:
        return run_of(options.file, services_sold=options.services_sold)
    if RUN_NAME.fullmatch(options.run) is None:
        raise UnreadableFileError("a run's name is up to 40 lower-case letters, digits and hyphens")
    return Run(options.run)


@dataclass(frozen=True, slots=True)
class _End:
    """What came of a replay. `problems` is what the shop refused."""

    played: list[Played]
    reconciliation: Reconciliation
    problems: list[str]
    taking_back_seconds: float


@dataclass(frozen=True, slots=True)
class _Replay:
    """One replay of what a file implies, phase by phase."""

    place: Place
    staff: Session
    books: Books
    run: Run
    implied: ImpliedShop
    reversals: Sequence[Reversal]
    concurrency: int

    def play(self) -> _End:
        """Prepare the shop, play everything, and compare."""
        earlier, restocked = self._earlier()
        sold = self._sold(earlier)
        self._publish()
        stock_before = self._stock(sold)
        customers = self._open_accounts(earlier)
        played = self._sell(earlier, customers)
        orders = {each.invoice.number: each.order_id for each in played if each.order_id}
        began = seconds_now()
        refused = self._take_back(orders, customers)
        ended = seconds_now()
        claims = Claims(
            invoices=self.implied.invoices,
            orders=orders,
            reversals=self.reversals,
            invoice_by_email=self.run.invoices_by_email(self.implied.invoices),
            sold_before=sold,
            restocked_before=restocked,
            stock_before=stock_before,
        )
        problems = [f"invoice {p.invoice.number}: {p.problem}" for p in played if p.problem]
        return _End(played, self._reconcile(claims), [*problems, *refused], ended - began)

    def _earlier(self) -> tuple[dict[str, OrderBook], dict[str, int]]:
        """Find what an interrupted replay of the same run left, once nothing of it moves any more.

        That is its orders by invoice, and the units by SKU that are back on the shelf.
        """
        pauses = iter(growing_pauses(_EARLIER_PATIENCE_SECONDS))
        while True:
            orders = self._earlier_orders()
            # An empty shop has no returns to read.
            returns = self.books.returns() if orders else {}
            moves = any(order.status in UNFINISHED for order in orders.values()) or any(
                each.status == RECEIVED
                for order in orders.values()
                for each in returns.get(order.order_id, ())
            )
            pause = next(pauses, None) if moves else None
            if pause is None:
                return orders, restocked_so_far(self.reversals, orders, returns)
            self.place.shop.pause(pause)

    def _earlier_orders(self) -> dict[str, OrderBook]:
        invoice_by_email = self.run.invoices_by_email(self.implied.invoices)
        return {
            invoice_by_email[order.email]: order
            for order in self.books.orders().values()
            if order.email in invoice_by_email
        }

    def _sold(self, earlier: Mapping[str, OrderBook]) -> frozenset[str]:
        """Tell which invoices were sold before, those included that were cancelled since."""
        cancelled = {
            each.invoice.number for each in self.reversals if each.kind is Kind.CANCELLATION
        }
        return frozenset(
            number
            for number, order in earlier.items()
            if order.status in SOLD or (order.status == TAKEN_BACK and number in cancelled)
        )

    def _publish(self) -> None:
        requests = batches(self.implied.products, PRODUCTS_PER_REQUEST)
        with self.place.phases.phase("catalogue", len(requests)) as advance:
            in_parallel(
                lambda batch: publish(self.staff, batch), requests, self.concurrency, advance
            )

        # Carts hear of products by event. Waiting here keeps that out of the checkouts' times.
        visits = batches(list(self.implied.stock()), VISITED_MAX)
        with self.place.phases.phase("offers", len(visits)) as advance:
            visitor = guest_session(self.place.shop)
            in_parallel(lambda skus: await_on_sale(visitor, skus), visits, 1, advance)

    def _stock(self, sold: frozenset[str]) -> dict[str, StockBook]:
        """Count in what is still to be sold; tell the stock of every SKU afterwards."""
        skus = self.implied.stock()
        to_sell = units_of(each for each in self.implied.invoices if each.number not in sold)
        counts = counts_to_make(to_sell, self.books.stock(skus))
        requests = batches(list(counts.items()), COUNTS_PER_REQUEST)
        with self.place.phases.phase("stock", len(requests)) as advance:
            in_parallel(
                lambda batch: count_stock(self.staff, batch),
                requests,
                self.concurrency,
                advance,
            )
        standing = self.books.stock(skus)
        return {sku: standing.get(sku, StockBook(0, 0)) for sku in skus}

    def _open_accounts(self, earlier: Mapping[str, OrderBook]) -> dict[str, Session]:
        """Open the accounts of those who buy; those who only give back have one already."""
        shop = self.place.shop
        customers: dict[str, Session] = {
            name: session_of(shop, *account_of(name))
            for name in (each.invoice.customer for each in self.reversals)
            if name is not None
        }

        def open_one(customer: str) -> None:
            customers[customer] = open_account(shop, customer)

        # Who has nothing left to buy needs no account.
        buyers = [each.customer for each in self.implied.invoices if each.number not in earlier]
        names = list(dict.fromkeys(name for name in buyers if name is not None))
        with self.place.phases.phase("customers", len(names)) as advance:
            in_parallel(open_one, names, self.concurrency, advance)
        return customers

    def _sell(
        self, earlier: Mapping[str, OrderBook], customers: Mapping[str, Session]
    ) -> list[Played]:
        player = Player(self.place.shop, self.staff, self.run, customers, earlier)
        with self.place.phases.phase("orders", len(self.implied.invoices)) as advance:
            return player.play_all(self.implied.invoices, self.concurrency, advance)

    def _take_back(self, orders: Mapping[str, str], customers: Mapping[str, Session]) -> list[str]:
        """Play what belongs to the orders; tell what the shop refused."""
        reverser = Reverser(self.staff, self.run, orders, customers)
        groups = reversals_by_invoice(self.reversals)
        parcels = [group for group in groups if any(e.kind is Kind.RETURN for e in group)]
        with self.place.phases.phase("parcels", len(parcels)) as advance:
            in_parallel(reverser.deliver, parcels, self.concurrency, advance)
        with self.place.phases.phase("taken back", len(groups)) as advance:
            in_parallel(reverser.take_back, groups, self.concurrency, advance)
        return reverser.problems

    def _reconcile(self, claims: Claims) -> Reconciliation:
        """Compare; where something differs, look again after it has had time to settle."""
        skus = list(claims.stock_before)
        with self.place.phases.phase("reconciliation", 1) as advance:
            reconciliation = reconcile(claims, gather(self.books, skus))
            for pause in _SETTLING_PAUSES_SECONDS:
                if reconciliation.agrees:
                    break
                self.place.shop.pause(pause)
                reconciliation = reconcile(claims, gather(self.books, skus))
            advance()
        return reconciliation
