"""What has to hold after every call of AWS, and what has to hold when all is quiet.

The numbers are those of the invariants: I1 to I7 always, Q1 to Q7 at quiet. The first are kept up
change by change, from the tables' own records, so that they cost little. The second ask the shop
as its people do, and end with its own reconciliation of all books.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.cli.audit.reading import Rows
from infra.cli.audit.rules import checked
from infra.cli.audit.violations import Remedy
from orders.model import OrderStatus
from orders.model.status import NEXT
from tests.simulation.aws.tables import Change
from tests.simulation.flows import Flow, Scene
from tests.simulation.world.world import PREFIX, World
from tradepost.kernel.clock import utc_now
from tradepost.platform.dynamodb import from_item

Item = Mapping[str, Any]


class Violation(BaseException):
    """An invariant does not hold."""

    def __init__(self, invariant: str, told: str) -> None:
        super().__init__(f"{invariant}: {told}")
        self.invariant = invariant


class Watch:
    """Looks at each change of stock, money and orders as soon as the call that made it is over."""

    def __init__(self, world: World) -> None:
        tables = world.account.dynamodb.tables
        self._tables = {
            name: (tables[f"{PREFIX}{name}"], look)
            for name, look in (
                ("inventory", self._stock_changed),
                ("orders", self._order_changed),
                ("payments", self._money_changed),
                ("simulators", self._provider_changed),
            )
        }
        self._seen: dict[str, int] = {}
        world.boundary.watch = self.look

    def restart(self) -> None:
        """Begin a history: take the tables as they stand."""
        self._available: Counter[str] = Counter()  # by SKU, minus what the movements come to
        self._held: Counter[str] = Counter()
        self._reserved: Counter[str] = Counter()  # held, minus what live holds have
        self._charged: dict[str, dict[str, int]] = defaultdict(dict)  # net, by order and charge
        self._priced: Counter[str] = Counter()  # the most that an order ever came to
        for name, (table, look) in self._tables.items():
            self._seen[name] = len(table.changes)
            for item in table:
                key = table.key_of(item)
                look(Change(name, key, None, item, 0), is_new=False)

    def look(self) -> None:
        """Check what changed since the last look. Raises Violation."""
        for name, (table, look) in self._tables.items():
            seen = self._seen[name]
            if len(table.changes) == seen:
                continue
            self._seen[name] = len(table.changes)
            for change in table.changes[seen:]:
                look(change, is_new=True)
            self._sums_hold()

    def _sums_hold(self) -> None:
        for sku, difference in self._available.items():
            _require(difference == 0, "I1", f"{sku}: the ledger and the level differ: {difference}")
        for sku, difference in self._held.items():
            _require(difference == 0, "I1", f"{sku}: ledger and held units differ: {difference}")
        for sku, difference in self._reserved.items():
            _require(difference == 0, "I3", f"{sku}: held units without a hold: {difference}")
        for order_id, charges in self._charged.items():
            net = sum(charges.values())
            most = self._priced[order_id]
            _require(net <= most, "I4", f"{order_id}: charged {net} of {most}")

    def _stock_changed(self, change: Change, *, is_new: bool) -> None:
        for item, sign in _before_and_after(change):
            if "available" in item and "held" in item and "sku" in item:
                low = min(item["available"], item["held"])
                _require(sign < 0 or low >= 0, "I2", f"{item['sku']}: {low} units")
                self._available[item["sku"]] += sign * item["available"]
                self._held[item["sku"]] += sign * item["held"]
                self._reserved[item["sku"]] += sign * item["held"]
            for movement in item.get("movements", ()):
                self._available[movement["sku"]] -= sign * movement["available"]
                self._held[movement["sku"]] -= sign * movement["held"]
            if item.get("state") == "HELD":
                for line in item["lines"]:
                    self._reserved[line["sku"]] -= sign * line["quantity"]
        if is_new and change.old is not None and "movements" in change.old:
            raise Violation("I1", f"an entry of the stock's ledger changed: {change.key}")

    def _order_changed(self, change: Change, *, is_new: bool) -> None:
        if change.key[1] != "ORDER" or change.new is None:
            return
        new = from_item(change.new)
        order_id = new["order_id"]
        self._priced[order_id] = max(self._priced[order_id], new["total_minor"])
        if not is_new or change.old is None:
            return
        old = from_item(change.old)
        before, after = OrderStatus(old["status"]), OrderStatus(new["status"])
        allowed = before == after or after in NEXT[before]
        _require(allowed, "I7", f"{order_id}: {before} became {after}")
        _require(new["version"] >= old["version"], "I7", f"{order_id}: an older version")

    def _money_changed(self, change: Change, *, is_new: bool) -> None:
        if change.new is not None and "legs" in change.new:
            legs = from_item(change.new)["legs"]
            total = sum(leg["amount_minor"] for leg in legs)
            _require(len(legs) == 2 and total == 0, "I6", f"{change.key}: the legs are {legs}")
        if is_new and change.old is not None and "legs" in change.old:
            raise Violation("I6", f"an entry of the ledger changed: {change.key}")

    def _provider_changed(self, change: Change, *, is_new: bool) -> None:
        if change.new is None or "captured_minor" not in change.new:
            return
        charge = from_item(change.new)
        captured, refunded = charge["captured_minor"], charge["refunded_minor"]
        _require(captured <= charge["amount_minor"], "I4", f"captured {captured}: {change.key}")
        _require(refunded <= captured, "I5", f"refunded {refunded} of {captured}: {change.key}")
        self._charged[charge["order_id"]][change.key[0]] = captured - refunded


def _before_and_after(change: Change) -> Iterator[tuple[Item, int]]:
    if change.old is not None:
        yield from_item(change.old), -1
    if change.new is not None:
        yield from_item(change.new), 1


def _require(holds: bool, invariant: str, told: str) -> None:
    if not holds:
        raise Violation(invariant, told)


# Times at which the timers ring after the last fault: a minute later, and then as often as it
# takes for what is watched by its age. Sweeps find an order that lies still after a few minutes.
TICKS_SECONDS = (61, 61, 300, 300, 600, 600, 900)
# Longer than an order has to lie still before the reconciliation compares it.
_QUIET_SECONDS = 1_200


def come_to_rest(scene: Scene) -> int:
    """Let everything end, with the timers' help where needed; tell how often they rang."""
    scene.world.drain()
    for ticks, seconds in enumerate(TICKS_SECONDS):
        if _is_at_rest(scene):
            return ticks
        scene.world.tick(seconds)
    return len(TICKS_SECONDS)


def _is_at_rest(scene: Scene) -> bool:
    return next(_unrest(scene), None) is None


def _unrest(scene: Scene) -> Iterator[tuple[str, str]]:
    """Name what is still to be done: the invariant, and what breaks it."""
    for name, item in _items(scene.world):
        if item["sk"].get("S", "").startswith("OUTBOX#"):
            yield "Q5", f"{name}: an event is unsent: {item['type']['S']}"
        for mark in ("unfinished", "running", "expiring", "due"):
            if mark in item and (name, mark) not in _MARKED_FOR_LONG:
                yield "Q1", f"{name}: {item['pk']['S']} is {mark}"
    for queue in scene.world.account.queues.values():
        if queue.messages:
            bodies = [one.body[:80] for one in queue.messages.values()]
            yield "Q4", f"{queue.name} holds {bodies}"


# An authorization is watched until it lapses, and a hold until its order ends.
_MARKED_FOR_LONG: frozenset[tuple[str, str]] = frozenset({("payments", "due")})


def _items(world: World) -> Iterator[tuple[str, Any]]:
    for name, table in world.account.dynamodb.tables.items():
        for item in table:
            yield name.removeprefix(PREFIX), item


def all_is_well(flow: Flow, scene: Scene, expected_replies: list[int] | None) -> str:
    """Check the invariants at quiet; return how the order ended. Raises Violation."""
    for invariant, told in _unrest(scene):
        raise Violation(invariant, told)
    statuses = [reply.status for reply in scene.replies]
    for reply in scene.replies:
        _require(reply.status < 500, "I9", f"no answer: {reply.text[:300]}")
    if expected_replies is not None:
        _require(statuses == expected_replies, "I9", f"answered {statuses}: {_told(scene)}")
    if not scene.order_id:
        _require(any(400 <= status < 500 for status in statuses), "Q1", "neither order nor refusal")
        _require(REFUSED in flow.ends, "Q1", f"no order: {_told(scene)}")
        return REFUSED
    order = _order(scene)
    ended = str(order["status"])
    _require(ended in flow.ends, "Q1", f"the order is {ended}: {order.get('reason')}")
    for check in _AT_QUIET:
        check(scene, order)
    return ended


# No order came of it, and its buyer knows.
REFUSED = "REFUSED"


def _told(scene: Scene) -> list[str]:
    return [reply.text[:160] for reply in scene.replies if reply.status >= 300]


def _order(scene: Scene) -> Any:
    reply = scene.town.admin_again().send("GET", f"/v1/staff/orders/{scene.order_id}")
    _require(reply.status == 200, "Q1", f"the order is not there: {reply.text[:200]}")
    return reply.told


def _cart_is_usable(scene: Scene, order: Any) -> None:
    """Check that the buyer's cart is open again, and empty if it was bought."""
    reply = scene.buyer.send("GET", "/v1/cart")
    # A guest who has waited for longer than a token lives is somebody else by now.
    is_over = reply.status == 401
    _require(is_over or reply.told["status"] == "OPEN", "Q6", f"the cart: {reply.text[:200]}")


def _what_was_promised_is_done(scene: Scene, order: Any) -> None:
    """Check that an order whose cancelling was accepted has not been sold all the same."""
    kept = order["status"] == "CONFIRMED" and scene.asked_to_cancel
    _require(not kept, "Q2", "its cancelling was accepted, and it is CONFIRMED")


def _stock_follows_orders(scene: Scene, order: Any) -> None:
    """Check that what was sold is taken from stock, and that nothing else is."""
    statuses: dict[str, str] = {}
    holds: dict[str, set[str]] = defaultdict(set)
    units = 0  # on the shelf, and sold; minus what ever came in
    for name, item in _items(scene.world):
        if name == "orders" and item["sk"]["S"] == "ORDER":
            statuses[item["order_id"]["S"]] = item["status"]["S"]
        elif name == "inventory" and item["sk"]["S"].startswith("CHUNK#"):
            holds[item["pk"]["S"].removeprefix("HOLD#")].add(item["state"]["S"])
        if name == "inventory":
            units += _units(from_item(item))
    for order_id, status in statuses.items():
        allowed = {"RELEASED"} if status == "CANCELLED" else {"COMMITTED"}
        found = holds.pop(order_id, set())
        if status != "NEEDS_ATTENTION":
            _require(found <= allowed, "Q3", f"{order_id} is {status}, its stock {found}")
    _require(not holds, "Q3", f"held for nobody: {dict(holds)}")
    _require(units == 0, "Q3", f"{units} units more than came in, less those sold")


def _units(item: Item) -> int:
    if "available" in item and "held" in item:
        return int(item["available"] + item["held"])
    if item.get("state") == "COMMITTED":
        return sum(line["quantity"] for line in item["lines"])
    if item["pk"].startswith(("SKU#", "RETURN#")):
        return -sum(one["available"] + one["held"] for one in item.get("movements", ()))
    return 0


def _mails_were_sent_once(scene: Scene, order: Any) -> None:
    """Check that nothing was told twice, unless the answer to a sent mail was lost."""
    hit = {site.function for site in scene.world.boundary.hit}
    if any(function.startswith("notifications-") for function in hit):
        return
    told = Counter(scene.world.account.ses.subjects())
    # A mail tells of one refund, and there may be several.
    twice = [one for one, count in told.items() if count > 1 and "refund" not in one]
    _require(not twice, "Q5", f"mailed twice: {twice}")


def _books_agree(scene: Scene, order: Any) -> None:
    """Have the shop compare orders, payments, the provider, stock and parcels."""
    world = scene.world
    world.clock.advance(_QUIET_SECONDS)
    admin = scene.town.admin_again()
    after = None
    while True:
        asked = {"day": str(order["placed_at"])[:10], "after": after}
        reply = admin.send("POST", "/v1/staff/reconciliations", asked)
        _require(reply.status == 200, "Q7", f"not reconciled: {reply.text[:200]}")
        findings = reply.told["findings"]
        _require(not findings, "Q7", str(findings))
        after = reply.told["after"]
        if after is None:
            return


def _whole_books_add_up(scene: Scene, order: Any) -> None:
    """Check what `tradepost audit` checks on the tables of a shop, by the same rules."""
    rows = Rows()
    for name, item in _items(scene.world):
        rows.take(name, from_item(item))
    for rule in checked(rows.books(utc_now(), ())):
        for violation in rule.violations:
            # An order that waits for a person may be how a flow is to end.
            if violation.remedy is not Remedy.RESUME:
                raise Violation(violation.rule, violation.told)


_AT_QUIET: tuple[Callable[[Scene, Any], None], ...] = (
    _cart_is_usable,
    _what_was_promised_is_done,
    _stock_follows_orders,
    _mails_were_sent_once,
    _books_agree,
    _whole_books_add_up,
)
