"""Where the shop sends from."""

from __future__ import annotations

from inventory.model import MAIN_WAREHOUSE, Warehouse
from inventory.model.stock import (
    WAREHOUSES_MAX,
    MainWarehouseError,
    TooManyWarehousesError,
    UnknownWarehouseError,
    with_main,
)
from inventory.ports import WarehouseRepository


def list_warehouses(*, warehouses: WarehouseRepository) -> list[Warehouse]:
    """List all warehouses by code; the main one is there without being described."""
    return with_main(warehouses.described())


def describe_warehouse(warehouse: Warehouse, *, warehouses: WarehouseRepository) -> Warehouse:
    """Open a warehouse, or change what is said of it. One that is closed sends nothing more.

    Raises
    ------
    MainWarehouseError
        The main one cannot be closed.
    TooManyWarehousesError
    StaleError
        Somebody else changed it meanwhile.
    """
    if warehouse.code == MAIN_WAREHOUSE and not warehouse.is_open:
        raise MainWarehouseError
    described = {one.code: one for one in warehouses.described()}
    before = described.get(warehouse.code)
    if before == warehouse:
        return warehouse
    if len(with_main([*described.values(), warehouse])) > WAREHOUSES_MAX:
        raise TooManyWarehousesError
    warehouses.put(warehouse, before)
    return warehouse


def require_warehouse(code: str, *, warehouses: WarehouseRepository) -> str:
    """Return the code of a warehouse there is. Raises UnknownWarehouseError."""
    if code != MAIN_WAREHOUSE and code not in {one.code for one in warehouses.described()}:
        raise UnknownWarehouseError(code)
    return code
