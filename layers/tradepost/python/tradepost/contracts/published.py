"""Every event there is, found in the modules beside this one."""

from __future__ import annotations

import importlib
import pkgutil

import tradepost.contracts
from tradepost.contracts.event import Event


def published() -> list[type[Event]]:
    """List every event class of the contracts, by type."""
    for module in pkgutil.iter_modules(tradepost.contracts.__path__):
        importlib.import_module(f"tradepost.contracts.{module.name}")
    return sorted(Event.__subclasses__(), key=lambda event: event.TYPE)
