"""
How many reservations of one SKU per second DynamoDB would take, spread over 1, 4 and 16 shards.

    .venv/bin/python tests/bench/hot_sku.py [--seconds 1] [--instances 50] [--seed 1] [--sell]

The inventory's own code reserves on moto's tables; between its calls and them, at botocore's
boundary, stands a model of what DynamoDB refuses, in virtual time:

- a partition takes 1,000 write units and 3,000 read units a second, and each partition key lies in
  one of its own: what adaptive capacity comes to for a key that stays hot, and no better;
- a write costs a unit per KiB, twice that in a transaction; a transaction that finds one of its
  partitions without units is refused whole, and costs nothing;
- each entry of the sparse index `expiring` costs a unit of its bucket's partition;
- nothing is saved up: no burst of unused seconds.

Orders of one unit arrive at random at a steady rate and are each answered by one of the function's
instances, which remember how the SKU is kept, as they do on Lambda. What is refused is tried again
as the checkout's state machine does: three times, after up to 1, 2 and 4 seconds by chance. Not
modelled: the time a call takes, and that two transactions which meet at one item at the same moment
conflict; both cost one shard more than many.

At the end of each run the stock is exact to the unit, the ledger sums to it, and the last units are
sold wherever they lie. The pictures are of reservations (`--sell`: whole sales, which write the
shard twice).
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock
from inventory.model import OutOfStockError
from tests.integration.inventory.stockroom import TABLE, books_agree, reserves
from tests.integration.tables import tables
from tradepost.kernel.clock import set_clock
from tradepost.kernel.errors import UnavailableError
from tradepost.platform.due import DueIndex

SKU = "HOT"
SHARDS = (1, 4, 16)
OFFERED = (400, 1_600, 6_400, 12_800)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)

EXPIRING = DueIndex("expiring", bucket="expiring", moment="held_until")

WRITE_UNITS_PER_SECOND = 1_000
READ_UNITS_PER_SECOND = 3_000
WRITE_UNIT_BYTES = 1_024
# A partition's units of this many seconds may be taken at once: enough that chance is no shortage.
SMOOTHED_SECONDS = 0.1
# Whoever begins finds a moment's units, not a second's: what is counted is sustained.
FIRST_UNITS_SECONDS = 0.01

# As in infra/state_machines/checkout.asl.json: ReserveStock's Retry.
RETRIES_MAX = 3
FIRST_WAIT_SECONDS = 1
LAST_UNITS = 60
BAR_WIDTH = 40


@dataclass
class Partition:
    """Units that come by the second and are lost when nobody takes them."""

    per_second: float
    units: float
    at: float = 0.0

    def available(self, now: float) -> float:
        room = self.per_second * SMOOTHED_SECONDS
        self.units = min(room, self.units + (now - self.at) * self.per_second)
        self.at = now
        return self.units


@dataclass
class Capacity:
    """The model: what each partition key has left, and what was refused for it."""

    now: float = 0.0
    refused: int = 0
    _partitions: dict[tuple[str, str], Partition] = field(default_factory=dict)

    def stand_between(self, client: Any) -> None:
        """Have every call of a client pay for its units, or be refused."""
        for operation, costs in (
            ("TransactWriteItems", _written),
            ("TransactGetItems", _read_at_once),
            ("BatchGetItem", _read_in_batch),
        ):
            client.meta.events.register(
                f"before-parameter-build.dynamodb.{operation}", self._charging(operation, costs)
            )

    def _charging(self, operation: str, costs: Callable[[Any], Iterator[Any]]) -> Any:
        def charge(params: Any, **_: Any) -> None:
            wanted: dict[tuple[str, str], float] = defaultdict(float)
            for kind, key, units in costs(params):
                wanted[kind, key] += units
            short = [one for one in wanted if self._of(one).available(self.now) < wanted[one]]
            if short:
                self.refused += 1
                raise ClientError(_refusal(operation), operation)
            for one, units in wanted.items():
                self._of(one).units -= units

        return charge

    def _of(self, one: tuple[str, str]) -> Partition:
        if one not in self._partitions:
            per_second = READ_UNITS_PER_SECOND if one[0] == "read" else WRITE_UNITS_PER_SECOND
            self._partitions[one] = Partition(per_second, 0, self.now - FIRST_UNITS_SECONDS)
        return self._partitions[one]


def _refusal(operation: str) -> Any:
    if operation.startswith("Transact"):
        return {
            "Error": {"Code": "TransactionCanceledException", "Message": "throttled"},
            "CancellationReasons": [{"Code": "ThrottlingError"}],
        }
    return {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "throttled"}}


def _written(params: Any) -> Iterator[tuple[str, str, float]]:
    for write in params["TransactItems"]:
        ((_, request),) = write.items()
        item = request.get("Item", request.get("Key"))
        kibibytes = -(-len(str(request.get("Item", ""))) // WRITE_UNIT_BYTES) or 1
        yield "write", item["pk"]["S"], 2 * kibibytes
        if "expiring" in item:
            yield "write", f"index {item['expiring']['S']}", 1
        elif "#expiring" in request.get("ExpressionAttributeNames", {}):
            # A chunk that is sold leaves the index.
            order_id = item["pk"]["S"].removeprefix("HOLD#")
            yield "write", f"index {EXPIRING.keys('HELD', order_id, NOON)['expiring']}", 1


def _read_at_once(params: Any) -> Iterator[tuple[str, str, float]]:
    for read in params["TransactItems"]:
        yield "read", read["Get"]["Key"]["pk"]["S"], 2


def _read_in_batch(params: Any) -> Iterator[tuple[str, str, float]]:
    for request in params["RequestItems"].values():
        for key in request["Keys"]:
            yield "read", key["pk"]["S"], 1 if request.get("ConsistentRead") else 0.5


@dataclass(frozen=True)
class Run:
    """What came of one rate of orders."""

    shards: int
    offered: int
    per_second: float
    given_up: int
    refused: int
    orders: int
    last_sold: int


@dataclass
class Crowd:
    """Orders that arrive by chance, and come again when they are refused."""

    client: Any
    capacity: Capacity
    instances: list[DynamoDBStock]
    chance: random.Random
    sells: bool
    taken: int = 0
    taken_in_time: int = 0
    given_up: int = 0

    def comes(self, rate: int, seconds: float) -> int:
        """Let orders come for some seconds; tell how many came."""
        waiting: list[tuple[float, int, int]] = []
        moment, orders = 0.0, 0
        while (moment := moment + self.chance.expovariate(rate)) < seconds:
            heapq.heappush(waiting, (moment, orders, 0))
            orders += 1
        while waiting:
            moment, number, tries = heapq.heappop(waiting)
            self.capacity.now = moment
            if self._is_served(f"ord_{number:06d}"):
                self.taken += 1
                self.taken_in_time += moment < seconds
            elif tries < RETRIES_MAX:
                longest = FIRST_WAIT_SECONDS * 2**tries
                again = moment + self.chance.uniform(0, longest)
                heapq.heappush(waiting, (again, number, tries + 1))
            else:
                self.given_up += 1
        return orders

    def _is_served(self, order_id: str) -> bool:
        stock = self.chance.choice(self.instances)
        try:
            reserves(stock, order_id, {SKU: 1})
            if self.sells:
                use_cases.commit_stock(order_id, stock=stock)
        except (UnavailableError, ClientError):
            return False
        return True

    def buys_the_last(self, already: int) -> int:
        """Leave a few units and sell them one by one, to the last; tell how many were."""
        patient = DynamoDBStock(self.client, TABLE)
        held = patient.snapshot(SKU).level.held
        use_cases.count_stock({SKU: held + LAST_UNITS}, reason="the last", stock=patient)
        sold = 0
        for number in range(2 * LAST_UNITS):
            self.capacity.now += 1
            try:
                reserves(self.chance.choice(self.instances), f"last_{already}_{number}", {SKU: 1})
            except OutOfStockError:
                continue
            sold += 1
        return sold


def measured(
    shards: int, offered: int, *, seconds: float, instances: int, seed: int, sells: bool
) -> Run:
    """Offer orders to a SKU in a table of its own.

    Raises
    ------
    AssertionError
        A unit was lost or sold twice, or one of the last was not found.
    """
    on_hand = int(offered * seconds * 2) + LAST_UNITS
    capacity = Capacity()
    with tables(TABLE) as client:
        stock = DynamoDBStock(client, TABLE)
        use_cases.count_stock({SKU: on_hand}, reason="opening", stock=stock)
        use_cases.keep_shelf(
            SKU, shards=shards, low_at=None, backorders_max=None, note="bench", stock=stock
        )
        set_clock(lambda: NOON + timedelta(seconds=capacity.now))
        try:
            capacity.stand_between(client)
            own = [DynamoDBStock(client, TABLE) for _ in range(instances)]
            chance = random.Random(f"{seed}/{shards}/{offered}")
            crowd = Crowd(client, capacity, own, chance, sells)
            orders = crowd.comes(offered, seconds)
            refused = capacity.refused
            capacity.now += 10
            level = stock.snapshot(SKU).level
            sold = 0 if sells else crowd.taken
            assert level.held >= sold, "a unit that was promised is not held"
            assert level.on_hand == on_hand - (crowd.taken if sells else 0), "units were lost"
            last = crowd.buys_the_last(orders)
            assert last == LAST_UNITS, f"{last} of the last {LAST_UNITS} units were found"
            books_agree(client)
        finally:
            set_clock(None)
    return Run(
        shards, offered, crowd.taken_in_time / seconds, crowd.given_up, refused, orders, last
    )


def main(
    seconds: Annotated[float, typer.Option(help="Virtual seconds that orders come for.")] = 1,
    instances: Annotated[int, typer.Option(help="Instances of the function.")] = 50,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 1,
    sell: Annotated[bool, typer.Option(help="Sell each order too, which writes again.")] = False,
) -> None:
    """Measure every number of shards at every rate, and draw what they sustain."""
    console = Console()
    runs = [
        measured(shards, offered, seconds=seconds, instances=instances, seed=seed, sells=sell)
        for shards in SHARDS
        for offered in OFFERED
    ]
    what = "sales" if sell else "reservations"
    table = Table(title=f"One SKU, {seconds:g} s of orders, seed {seed}", title_justify="left")
    for name in ("shards", "orders/s", f"{what}/s", "refused calls", "given up"):
        table.add_column(name, justify="right")
    for run in runs:
        table.add_row(
            f"{run.shards}",
            f"{run.offered:,}",
            f"{run.per_second:,.0f}",
            f"{run.refused:,}",
            f"{run.given_up:,} of {run.orders:,}",
        )
    console.print(table)
    best = {shards: max(r.per_second for r in runs if r.shards == shards) for shards in SHARDS}
    console.print(f"\n{what} per second, sustained")
    for shards, per_second in best.items():
        bar = "█" * max(1, round(BAR_WIDTH * per_second / max(best.values())))
        console.print(f"{shards:>3} shards {bar} {per_second:,.0f}")
    console.print(
        f"\nStock exact in all {len(runs)} runs; the last {LAST_UNITS} units sold in each,"
        " and not one more."
    )


if __name__ == "__main__":
    typer.run(main)
