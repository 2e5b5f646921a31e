"""What is done with stock: hold, commit, add, take back, release, expire; restock, receive, adjust,
count; keep and tend shelves; open warehouses."""

from inventory.use_cases.holds import (
    HOLD_CHUNK_LINES_MAX,
    commit_added,
    commit_stock,
    expire_hold,
    hold_added,
    release_added,
    release_stock,
    reserve_stock,
    sweep_holds,
    take_back,
)
from inventory.use_cases.stocking import adjust_stock, count_stock, restock
from inventory.use_cases.tending import even_out, for_sale, keep_shelf, tend_shelf
from inventory.use_cases.warehouses import (
    describe_warehouse,
    list_warehouses,
    require_warehouse,
)

__all__ = [
    "HOLD_CHUNK_LINES_MAX",
    "adjust_stock",
    "commit_added",
    "commit_stock",
    "count_stock",
    "describe_warehouse",
    "even_out",
    "expire_hold",
    "for_sale",
    "hold_added",
    "keep_shelf",
    "list_warehouses",
    "release_added",
    "release_stock",
    "require_warehouse",
    "reserve_stock",
    "restock",
    "sweep_holds",
    "take_back",
    "tend_shelf",
]
