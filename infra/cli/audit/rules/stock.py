"""The rules of stock: each tells how many things it looked at, and what breaks it."""

from __future__ import annotations

from collections import Counter, defaultdict

from infra.cli.audit.rows import Books, Bucket, Hold
from infra.cli.audit.violations import Remedy, Violation

Found = tuple[int, list[Violation]]

ALIVE = {"HELD", "COMMITTED"}


def stock_is_conserved(books: Books) -> Found:
    """I1: what the ledger says of a bucket lies there; what came in is there, held or sold."""
    levels = {level.bucket: level for level in books.levels}
    moved: dict[Bucket, Counter[str]] = defaultdict(Counter)
    received: Counter[str] = Counter()
    for movement in books.movements:
        moved[movement.bucket].update(
            available=movement.available, held=movement.held, waiting=movement.waiting
        )
        if not movement.is_of_a_hold:
            received[movement.bucket[0]] += movement.available + movement.held
    found = []
    for bucket in sorted(levels.keys() | moved.keys()):
        level, sums = levels.get(bucket), moved[bucket]
        for name in ("available", "held", "waiting"):
            has = getattr(level, name) if level else 0
            if has != sums[name]:
                one = (f"{name}, by the level", has)
                found.append(_of_stock("I1", bucket, one, (f"{name}, by the ledger", sums[name])))
    accounted = sold_units(books)
    for level in books.levels:
        accounted[level.bucket[0]] += level.available + level.held
    skus = sorted(accounted.keys() | received.keys())
    for sku in skus:
        if accounted[sku] != received[sku]:
            found.append(
                Violation(
                    "I1",
                    sku,
                    ("on the shelf and sold", accounted[sku]),
                    ("received", received[sku]),
                    Remedy.STOCK,
                )
            )
    return len(levels.keys() | moved.keys()) + len(skus), found


def sold_units(books: Books) -> Counter[str]:
    """Sum what orders have bought and was taken from a bucket, by SKU."""
    sold: Counter[str] = Counter()
    for hold in books.holds:
        if hold.state == "COMMITTED":
            for line in hold.lines:
                sold[line.sku] += line.quantity - line.waiting
    return sold


def nothing_is_below_zero(books: Books) -> Found:
    """I2: no bucket has fewer units than none. Back-orders wait, and are counted apart."""
    found = [
        _of_stock("I2", level.bucket, (name, number), ("at least", 0))
        for level in books.levels
        for name, number in (
            ("available", level.available),
            ("held", level.held),
            ("waiting", level.waiting),
        )
        if number < 0
    ]
    return len(books.levels), found


def held_is_what_orders_hold(books: Books) -> Found:
    """I3: a bucket's held units are those of live holds; who waits is counted, and has a place."""
    held: Counter[Bucket] = Counter()
    waiting: Counter[str] = Counter()
    for hold in books.holds:
        for line in hold.lines if hold.state in ALIVE else ():
            waiting[line.sku] += line.waiting
            if hold.state == "HELD":
                held.update(line.taken)
    found = []
    levels = {level.bucket: level.held for level in books.levels}
    for bucket in sorted(levels.keys() | held.keys()):
        if levels.get(bucket, 0) != held[bucket]:
            one = ("held, by the level", levels.get(bucket, 0))
            found.append(_of_stock("I3", bucket, one, ("held, by orders", held[bucket])))
    queued: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for sku, units in books.queued:
        queued[sku] += units
    for level in books.levels:
        counted[level.bucket[0]] += level.waiting
    for sku in sorted(waiting.keys() | queued.keys() | counted.keys()):
        for name, number in (("in the queue", queued[sku]), ("by the level", counted[sku])):
            if number != waiting[sku]:
                one = (f"waiting, {name}", number)
                other = ("waiting, by orders", waiting[sku])
                found.append(Violation("I3", sku, one, other, Remedy.STOCK))
    return len(levels.keys() | held.keys()), found


def holds_by_order(books: Books) -> dict[str, list[Hold]]:
    """Gather the holds of each order."""
    holds: dict[str, list[Hold]] = defaultdict(list)
    for hold in books.holds:
        holds[hold.order_id].append(hold)
    return holds


def _of_stock(rule: str, bucket: Bucket, one: tuple[str, int], other: tuple[str, int]) -> Violation:
    return Violation(rule, f"{bucket[0]} in {bucket[1]}", one, other, Remedy.STOCK)
