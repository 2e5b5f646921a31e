"""Keys and items of the table: how what the model says is written and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from inventory.model import (
    MAIN_WAREHOUSE,
    ROOT,
    Bucket,
    Card,
    HoldChunk,
    HoldLine,
    HoldState,
    Move,
    Shelf,
    Standing,
    Take,
    Units,
    Waiting,
)
from tradepost.kernel.clock import from_text, to_text, utc_now
from tradepost.platform.dynamodb import Item


def sku_pk(sku: str) -> str:
    return f"SKU#{sku}"


def hold_pk(order_id: str) -> str:
    return f"HOLD#{order_id}"


def level_key(sku: str, bucket: Bucket = ROOT) -> dict[str, str]:
    # A shard has a partition key of its own: it is the partition that takes 1,000 writes a second.
    pk = f"SHARD#{bucket.shard}#{sku}" if bucket.shard else sku_pk(sku)
    return {"pk": pk, "sk": f"STOCK#{bucket.warehouse}"}


def bucket_of(item: Item) -> Bucket:
    shard = int(item["pk"].split("#")[1]) if item["pk"].startswith("SHARD#") else 0
    return Bucket(item["sk"].removeprefix("STOCK#"), shard)


def chunk_key(order_id: str, added_by: int, number: int) -> dict[str, str]:
    return {"pk": hold_pk(order_id), "sk": f"CHUNK#{_name(added_by, number)}"}


def _name(added_by: int, number: int) -> str:
    """Name a chunk within its order: those bought at first sort before those added."""
    return f"EDIT{added_by:04d}#{number:04d}" if added_by else f"{number:04d}"


def waiting_key(waiting: Waiting) -> dict[str, str]:
    chunk = _name(waiting.added_by, waiting.number)
    return {
        "pk": f"WAITING#{waiting.sku}",
        "sk": f"{to_text(waiting.since)}#{waiting.order_id}#{chunk}",
    }


def warehouse_key(code: str) -> dict[str, str]:
    return {"pk": "WAREHOUSES", "sk": f"WAREHOUSE#{code}"}


def entry(pk: str, sk: str, kind: str, moves: Iterable[Move]) -> Item:
    return {
        "pk": pk,
        "sk": sk,
        "kind": kind,
        "movements": [_movement(move) for move in moves],
        "occurred_at": to_text(utc_now()),
    }


def chunk_entry(chunk: HoldChunk, kind: str, moves: Iterable[Move]) -> Item:
    sk = f"ENTRY#{_name(chunk.added_by, chunk.number)}#{kind}"
    return entry(hold_pk(chunk.order_id), sk, kind, moves)


def _movement(move: Move) -> Item:
    return {
        "sku": move.sku,
        "available": move.available,
        "held": move.held,
        **({"waiting": move.waiting} if move.waiting else {}),
        **_place(move.bucket),
    }


def _place(bucket: Bucket) -> Item:
    """Say where a bucket is; nothing of the root, which most units are of."""
    return {
        **({"warehouse": bucket.warehouse} if bucket.warehouse != MAIN_WAREHOUSE else {}),
        **({"shard": bucket.shard} if bucket.shard else {}),
    }


def place_of(item: Mapping[str, Any]) -> Bucket:
    return Bucket(item.get("warehouse", MAIN_WAREHOUSE), item.get("shard", 0))


def chunk_item(chunk: HoldChunk, state: HoldState) -> Item:
    return {
        **chunk_key(chunk.order_id, chunk.added_by, chunk.number),
        "total": chunk.total,
        "state": state,
        "lines": lines_item(chunk),
        "edit": chunk.edit,
        "fills": chunk.fills,
    }


def lines_item(chunk: HoldChunk) -> list[Item]:
    return [
        {
            "sku": line.sku,
            "quantity": line.quantity,
            **(
                {
                    "taken": [
                        {"quantity": take.quantity, **_place(take.bucket)} for take in line.taken
                    ]
                }
                if line.taken
                else {}
            ),
            **(
                {"waiting": line.waiting, "waits_since": to_text(line.waits_since)}
                if line.waits_since
                else {}
            ),
        }
        for line in chunk.lines
    ]


def to_chunk(order_id: str, item: Item) -> HoldChunk:
    *edit, number = item["sk"].removeprefix("CHUNK#").split("#")
    return HoldChunk(
        order_id=order_id,
        number=int(number),
        total=item["total"],
        state=HoldState(item["state"]),
        lines=tuple(_to_line(line) for line in item["lines"]),
        held_until=from_text(item["held_until"]) if "held_until" in item else None,
        edit=item["edit"],
        added_by=int(edit[0].removeprefix("EDIT")) if edit else 0,
        fills=item["fills"],
    )


def _to_line(item: Item) -> HoldLine:
    return HoldLine(
        item["sku"],
        item["quantity"],
        tuple(Take(place_of(take), take["quantity"]) for take in item.get("taken", ())),
        item.get("waiting", 0),
        from_text(item["waits_since"]) if "waits_since" in item else None,
    )


def to_waiting(item: Item) -> Waiting:
    return Waiting(
        sku=item["sku"],
        order_id=item["order_id"],
        added_by=item["added_by"],
        number=item["number"],
        quantity=item["quantity"],
        since=from_text(item["since"]),
    )


def card_item(card: Card) -> Item:
    return {**asdict(card), "warehouses": list(card.warehouses)}


def card_of(root: Item) -> Card | None:
    if "card" not in root:
        return None
    return Card(**{**root["card"], "warehouses": tuple(root["card"]["warehouses"])})


def shelf_of(sku: str, items: Sequence[Item]) -> Shelf:
    """Put a shelf together of its buckets' items, the root among them."""
    found = {bucket_of(item): item for item in items}
    root = found.get(ROOT, {})
    card = card_of(root)
    return Shelf(
        sku,
        card,
        {
            bucket: Units(
                found.get(bucket, {}).get("available", 0), found.get(bucket, {}).get("held", 0)
            )
            for bucket in (card.buckets if card else (ROOT,))
        },
        root.get("waiting", 0),
        Standing(root.get("standing", Standing.AMPLE)),
        root.get("tellings", 0),
        is_known=bool(root),
    )
