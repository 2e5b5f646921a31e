"""A file on its way into a shop that has no time for it."""

from __future__ import annotations

import signal
import threading
import time

import httpx
import pytest

from infra.cli.importing.loading import load
from infra.cli.shop import Session, Shop

ROWS = "Handle,Title,Variant SKU,Variant Price\n" + "".join(
    f"mug-{number},Mug,MUG-{number},12.50\n" for number in range(300)
)


@pytest.fixture
def _sigint_interrupts():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_sigint_interrupts")
def test_an_import_that_waits_for_a_busy_shop_ends_at_once_when_interrupted(tmp_path):
    file = tmp_path / "shop.csv"
    file.write_text(ROWS)
    main = threading.main_thread().ident
    assert main is not None
    busy = httpx.Response(
        429, json={"code": "too_many_requests", "detail": "later"}, headers={"Retry-After": "60"}
    )
    shop = Shop(
        "http://shop.test",
        transport=httpx.MockTransport(lambda _request: busy),
        say=lambda _line: signal.pthread_kill(main, signal.SIGINT),
    )
    began = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        load(file, Session(shop, lambda: "token"), currency="GBP")

    assert time.monotonic() - began < 5
