"""
How many one-line checkouts per second a shop takes, from the cart to the paid order.

    .venv/bin/python tests/bench/checkout.py [--url URL] [--buyers 8] [--orders 200] [--guests]

A closed loop: each buyer puts one line in the cart, checks out, waits until it is paid, and
begins again. Without --url a shop is started for the purpose and stopped afterwards. The server's
CPU is read from Linux's /proc where its process is known; AWS calls where the shop counts them
(`GET /_local/calls`). It takes minutes and measures the machine as much as the code, so it is run
by hand and compared by hand.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.buying import Purchase, address, await_on_sale, buy, money, seconds_now
from infra.cli.replay.timing import percentile_ms
from infra.cli.shop import (
    Json,
    Session,
    Shop,
    ShopRefusedError,
    ShopUnreachableError,
    guest_session,
    session_of,
)
from infra.cli.staff import Email, Password, staff_session

_CURRENCY = "GBP"
_PRICE_MINOR = 1999
_START_SECONDS_MAX = 120
_MILLISECONDS = 1000


@dataclass(frozen=True)
class Setup:
    """What one measurement is of. `pid` is the server's, where it runs on this machine."""

    shop: Shop
    name: str
    buyers: int
    orders: int
    guests: bool
    pid: int | None

    @property
    def sku(self) -> str:
        return f"BENCH-{self.name}".upper()


def main(
    url: Annotated[str | None, typer.Option(help="A shop that runs; none starts one.")] = None,
    buyers: Annotated[int, typer.Option(min=1)] = 8,
    orders: Annotated[int, typer.Option(min=1)] = 200,
    guests: Annotated[bool, typer.Option(help="Buy as guests instead of with accounts.")] = False,
    pid: Annotated[int | None, typer.Option(help="The server's process, to read its CPU.")] = None,
    email: Email = None,
    password: Password = None,
) -> None:
    """Measure checkouts per second."""
    with _running_shop(url, pid) as (address_, server):
        shop = Shop(address_, connections=buyers)
        setup = Setup(shop, f"{os.getpid()}-{time.time_ns()}", buyers, orders, guests, server)
        try:
            prepare(setup, staff_session(shop, email, password))
            typer.echo(json.dumps(measure(setup), indent=2))
        finally:
            shop.close()


def prepare(setup: Setup, staff: Session) -> None:
    """Put one product on sale with a unit for every order, and wait until carts know it."""
    variant = {"sku": setup.sku, "price": money(_PRICE_MINOR, _CURRENCY), "weight_grams": 100}
    product = {"title": f"Bench {setup.name}", "variants": [variant], "published": True}
    staff.call("PUT", f"/v1/products/{setup.sku.lower()}", product)
    # One order before the clock starts takes what only the first order costs.
    lines = [{"sku": setup.sku, "on_hand": setup.orders + setup.buyers}]
    staff.call("POST", "/v1/stock/batch", {"lines": lines, "reason": "bench"})
    await_on_sale(guest_session(setup.shop), [setup.sku])


def measure(setup: Setup) -> Json:
    """Let the buyers buy until all orders are paid, and tell how that went."""
    sessions = [_buyer(setup, number) for number in range(setup.buyers)]
    _all_at_once(setup, [_buying(setup, each, f"warm-{n}") for n, each in enumerate(sessions)])
    calls_before, cpu_before, began = _calls(setup.shop), _cpu_seconds(setup.pid), seconds_now()
    numbers = count()
    durations: list[float] = []

    def loop(session: Session) -> Callable[[], None]:
        def buy_until_done() -> None:
            while (number := next(numbers)) < setup.orders:
                started = seconds_now()
                _buying(setup, session, str(number))()
                durations.append(seconds_now() - started)

        return buy_until_done

    _all_at_once(setup, [loop(session) for session in sessions])
    seconds = seconds_now() - began
    cpu = _difference(_cpu_seconds(setup.pid), cpu_before)
    return {
        "orders": len(durations),
        "buyers": setup.buyers,
        "as": "guests" if setup.guests else "customers",
        "seconds": round(seconds, 2),
        "checkouts_per_second": round(len(durations) / seconds, 2),
        **{f"p{p}_ms": percentile_ms(sorted(durations), p) for p in (50, 95, 99)},
        "server_cpu_ms_per_order": cpu and round(cpu * _MILLISECONDS / len(durations), 1),
        "aws_calls_per_order": _per_order(_calls(setup.shop), calls_before, len(durations)),
        "server_errors": setup.shop.server_errors,
    }


def _buyer(setup: Setup, number: int) -> Session:
    if setup.guests:
        session = guest_session(setup.shop)
    else:
        email, password = f"buyer-{number}@{setup.name}.bench.example", f"bench of {setup.name}"
        account = {"email": email, "password": password, "name": f"Buyer {number}"}
        setup.shop.call("POST", "/v1/users", account)
        session = session_of(setup.shop, email, password)
    session.log_in()
    return session


def _buying(setup: Setup, buyer: Session, name: str) -> Callable[[], None]:
    purchase = Purchase(
        lines={setup.sku: 1},
        total_minor=_PRICE_MINOR,
        currency=_CURRENCY,
        email=f"order-{name}@{setup.name}.bench.example",
        address=address("Buyer", "1 Bench Row", "GB"),
        key=f"bench-{setup.name}-{name}",
    )

    def buy_one() -> None:
        outcome = buy(buyer, purchase)
        if outcome.status != "CONFIRMED":
            raise RuntimeError(f"order {name} is {outcome.status}: {outcome.reason}")

    return buy_one


def _all_at_once(setup: Setup, acts: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(setup.buyers) as pool:
        for future in [pool.submit(act) for act in acts]:
            future.result()


def _calls(shop: Shop) -> dict[str, int] | None:
    """Read how many AWS calls the shop has made, by service and operation; None: not counted."""
    try:
        return {name: int(number) for name, number in shop.call("GET", "/_local/calls").items()}
    except (ShopRefusedError, ShopUnreachableError, TypeError, ValueError):
        return None


def _per_order(
    after: dict[str, int] | None, before: dict[str, int] | None, orders: int
) -> dict[str, float] | None:
    if after is None or before is None:
        return None
    made = {name: number - before.get(name, 0) for name, number in after.items()}
    return {name: round(n / orders, 2) for name, n in sorted(made.items()) if n}


def _cpu_seconds(pid: int | None) -> float | None:
    stat = Path(f"/proc/{pid}/stat")
    if pid is None or not stat.exists():
        return None
    # The second field is the command in brackets and may hold blanks; user and system time are
    # the 14th and 15th, so the 12th and 13th behind it.
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


@contextmanager
def _running_shop(url: str | None, pid: int | None) -> Iterator[tuple[str, int | None]]:
    """Name a shop's address and process: the one asked for, or one of our own while it lasts."""
    if url is not None:
        yield url, pid
        return
    port = _free_port()
    command = [str(Path(sys.executable).with_name("tradepost")), "dev", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            address_ = f"http://127.0.0.1:{port}"
            _await_start(address_, server)
            yield address_, server.pid
        finally:
            server.terminate()


def _await_start(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = seconds_now() + _START_SECONDS_MAX
    port = int(url.rpartition(":")[2])
    while server.poll() is None and seconds_now() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("the shop did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    typer.run(main)
