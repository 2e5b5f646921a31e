"""A flash sale: many buyers at once for few units, judged by the shop's tables.

All buyers hold a guest's token and wait behind one barrier; then each puts the unit in its cart,
checks out and waits for the end. Exact means: as many confirmed orders and captures as there were
units, no unit left or held, every other buyer told `out_of_stock`, and no server error seen.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console

from infra.cli.books import Books, StockBook
from infra.cli.buying import (
    CheckoutStuckError,
    Outcome,
    Purchase,
    address,
    await_on_sale,
    buy,
    money,
    seconds_now,
)
from infra.cli.replay.preparing import in_parallel
from infra.cli.replay.reconciling import SOLD
from infra.cli.replay.timing import percentile_ms
from infra.cli.shop import Session, Shop, ShopRefusedError, ShopUnreachableError, guest_session

EXIT_EXACT = 0
EXIT_NOT_EXACT = 1

_CURRENCY = "GBP"
_PRICE_MINOR = 1999
_OUT_OF_STOCK = "out_of_stock"
_PREPARING_THREADS = 8


@dataclass(frozen=True, slots=True)
class Sale:
    """One flash sale: a product of its own, and who wants it."""

    name: str
    buyers: int
    units: int

    @property
    def sku(self) -> str:
        return f"FLASH-{self.name}".upper()

    @property
    def email_domain(self) -> str:
        return f"{self.name}.flash-sale.example"


@dataclass(frozen=True, slots=True)
class Bought:
    """How one buyer fared. `outcome` is None where the shop refused or never ended it."""

    outcome: Outcome | None
    problem: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """What the tables say after a sale, and what the buyers saw."""

    confirmed: int
    captures: int
    charged: int
    available: int
    held: int
    told: dict[str, int]
    server_errors: int
    seconds: float
    accepted_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    wrong: tuple[str, ...] = field(default=())

    @property
    def is_exact(self) -> bool:
        return not self.wrong


@dataclass(frozen=True, slots=True)
class Place:
    """Where sales take place, and the books they are judged by."""

    shop: Shop
    staff: Session
    books: Books


def sales_of(buyers: int, units: int, runs: int) -> list[Sale]:
    """Plan sales whose products no shop has seen."""
    return [Sale(f"sale-{secrets.token_hex(5)}", buyers, units) for _ in range(runs)]


def run_sales(sales: Sequence[Sale], place: Place, out: Console, *, as_json: bool) -> int:
    """Hold the sales one after another and print each; the answer is the exit status."""
    results = []
    for sale in sales:
        results.append(hold(sale, place))
        if not as_json:
            _print(sale, results[-1], out)
    exact = all(result.is_exact for result in results)
    if as_json:
        runs = [{"exact": result.is_exact, **asdict(result)} for result in results]
        out.file.write(json.dumps({"exact": exact, "runs": runs}, indent=2) + "\n")
    return EXIT_EXACT if exact else EXIT_NOT_EXACT


def hold(sale: Sale, place: Place) -> Result:
    """Hold one sale and judge it.

    Raises
    ------
    ShopRefusedError, ShopUnreachableError
        The sale could not be prepared.
    """
    shop = place.shop
    _prepare(sale, place.staff)
    await_on_sale(guest_session(shop), [sale.sku])
    guests = [guest_session(shop) for _ in range(sale.buyers)]
    in_parallel(Session.log_in, guests, _PREPARING_THREADS, lambda: None)
    errors_before = shop.server_errors
    began = seconds_now()
    bought = _storm(sale, guests)
    seconds = seconds_now() - began
    return _judge(sale, bought, place.books, shop.server_errors - errors_before, seconds)


def _prepare(sale: Sale, staff: Session) -> None:
    staff.call(
        "PUT",
        f"/v1/products/{sale.sku.lower()}",
        {
            "title": f"Flash {sale.name}",
            "options": [],
            "variants": [
                {
                    "sku": sale.sku,
                    "option_values": [],
                    "price": money(_PRICE_MINOR, _CURRENCY),
                    "weight_grams": 100,
                }
            ],
            "published": True,
        },
    )
    lines = [{"sku": sale.sku, "on_hand": sale.units}]
    staff.call("POST", "/v1/stock/batch", {"lines": lines, "reason": "flash sale"})


def _storm(sale: Sale, guests: Sequence[Session]) -> list[Bought]:
    barrier = threading.Barrier(len(guests))

    def press(numbered: tuple[int, Session]) -> Bought:
        number, guest = numbered
        purchase = Purchase(
            lines={sale.sku: 1},
            total_minor=_PRICE_MINOR,
            currency=_CURRENCY,
            email=f"buyer-{number}@{sale.email_domain}",
            address=address(f"Buyer {number}", "1 Barrier Row", "GB"),
            key=f"{sale.name}-{number}",
        )
        barrier.wait()
        began = seconds_now()
        try:
            return Bought(buy(guest, purchase), None, seconds_now() - began)
        except (ShopRefusedError, ShopUnreachableError, CheckoutStuckError) as error:
            return Bought(None, str(error), seconds_now() - began)

    with ThreadPoolExecutor(len(guests)) as pool:
        return list(pool.map(press, enumerate(guests)))


def _judge(
    sale: Sale, bought: Sequence[Bought], books: Books, server_errors: int, seconds: float
) -> Result:
    orders = [
        order for order in books.orders().values() if order.email.endswith(f"@{sale.email_domain}")
    ]
    payments, charges = books.payments(), books.charges()
    captured = [p for o in orders if (p := payments.get(o.order_id)) and p.entries.captured_minor]
    charged = [c for o in orders if (c := charges.get(o.order_id)) and c.captured_minor]
    stock = books.stock([sale.sku]).get(sale.sku, StockBook(0, 0))
    latencies = sorted(each.seconds for each in bought)
    confirmed = sum(order.status in SOLD for order in orders)
    figures: dict[str, Any] = {
        "confirmed": confirmed,
        "captures": len(captured),
        "charged": len(charged),
        "available": stock.available,
        "held": stock.held,
        "told": dict(Counter(_told(each) for each in bought)),
        "server_errors": server_errors,
    }
    return Result(
        **figures,
        seconds=round(seconds, 2),
        accepted_per_second=round(confirmed / seconds, 2),
        p50_ms=percentile_ms(latencies, 50),
        p95_ms=percentile_ms(latencies, 95),
        p99_ms=percentile_ms(latencies, 99),
        wrong=_wrong(sale, figures),
    )


def _told(bought: Bought) -> str:
    """Name what a buyer was told: the end of the checkout, its reason, or the refusal."""
    if bought.outcome is None:
        return str(bought.problem)
    return bought.outcome.reason or bought.outcome.status


def _wrong(sale: Sale, figures: dict[str, Any]) -> tuple[str, ...]:
    sold = min(sale.units, sale.buyers)
    told = {"CONFIRMED": sold, _OUT_OF_STOCK: sale.buyers - sold}
    expected: dict[str, Any] = {
        "confirmed": sold,
        "captures": sold,
        "charged": sold,
        "available": sale.units - sold,
        "held": 0,
        "told": {answer: count for answer, count in told.items() if count},
        "server_errors": 0,
    }
    return tuple(
        f"{name}: {figures[name]} instead of {value}"
        for name, value in expected.items()
        if figures[name] != value
    )


def _print(sale: Sale, result: Result, out: Console) -> None:
    verdict = "exact" if result.is_exact else "NOT exact"
    out.print(
        f"{sale.buyers} buyers, {sale.units} units: {result.confirmed} confirmed, "
        f"{result.captures} captured, {result.available} left, {result.held} held, "
        f"{result.server_errors} server errors; {result.seconds} s, "
        f"{result.accepted_per_second}/s, p50 {result.p50_ms} ms, p95 {result.p95_ms} ms, "
        f"p99 {result.p99_ms} ms: {verdict}",
        soft_wrap=True,
        highlight=False,
    )
    for problem in result.wrong:
        out.print(f"  {problem}", markup=False, soft_wrap=True)
