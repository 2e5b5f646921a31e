"""The whole shop in this process, with something to sell."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import boto3
import httpx
import typer
from botocore.exceptions import ClientError
from rich.console import Console

from infra.cli import local_stripe
from infra.cli.faults import plan_in
from infra.cli.importing.loading import load
from infra.cli.outside import outside
from infra.cli.shop import Session, Shop, ShopRefusedError, session_of
from infra.demo.pictures import CONTENT_TYPE, picture
from infra.demo.products import as_jsonl
from infra.local.clock import Clock
from infra.local.faults.plan import PlanError
from infra.local.server import LocalSite, PortTakenError, listen, serve
from infra.local.stack import LocalStack
from infra.openapi import documentation
from tradepost.platform.logger import logger

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
_DEMO_SKU = "MUG-STONEWARE-SAND"
_DEMO_AMOUNT_MINOR = 1400

_PAGES = {
    "Try the API": "/docs",
    "Products, as the API gives them": "/v1/products",
    "A picture of one": "/demo/stoneware-mug--sand.svg",
    "Mailbox": "/_local/mailbox.html",
    "Calls of AWS so far": "/_local/calls",
}

# Known to everybody, and of use to nobody: the shop listens on this machine only, and forgets.
STAFF_EMAIL = "admin@tradepost.example"
STAFF_PASSWORD = "local admin password"  # noqa: S105

ERR = Console(stderr=True)
OUT = Console(highlight=False)


def open_shop(
    port: int,
    *,
    empty: bool,
    stripe: bool,
    log: str,
    begins: datetime | None = None,
    plan: Path | None = None,
) -> None:
    """Run the shop until it is interrupted; the process ends with it.

    Raises
    ------
    typer.Exit
        The port is taken, there is no key for Stripe, or no plan of faults in the file; a line on
        stderr has said so.
    """
    try:
        parameters = local_stripe.parameters() if stripe else {}
        parameters |= {"PicturesEndpoint": f"http://localhost:{port}/_aws"}
        faults = None if plan is None else plan_in(plan)
    except (local_stripe.NoStripeError, PlanError) as error:
        ERR.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    try:
        listener = listen(HOST, port)
    except PortTakenError as error:
        ERR.print(f"{error}; try: make run PORT={port + 1}", style="red")
        raise typer.Exit(1) from error
    logger.setLevel(log.upper())
    # A shell that starts us in the background has SIGINT ignored; a supervisor sends SIGTERM.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    logging.getLogger("waitress").setLevel(logging.ERROR)
    url = f"http://localhost:{port}"
    try:
        clock = Clock(None if begins is None else begins.timestamp())
        opened = LocalStack(ROOT, parameters=parameters, clock=clock, outside=outside)
        with listener, opened as stack:
            if stripe:
                local_stripe.hand_over_secrets(stack)
            site = LocalSite(
                stack,
                f"{url}/_aws",
                about={"staff": {"email": STAFF_EMAIL, "password": STAFF_PASSWORD}},
                documents=[
                    documentation(stack.functions.apps.values()),
                    _picture,
                    _uploaded,
                    _doormat,
                ],
                administrator=(STAFF_EMAIL, STAFF_PASSWORD),
            )
            stack.pump.start()
            with _shop_in_process(site) as shop:
                staff = appointed(shop)
                if not empty:
                    _stocked(staff)
            _welcome(url, method="pm_card_visa" if stripe else "pm_card_ok", empty=empty)
            if faults is not None:
                stack.faults.switch_on(faults)
                OUT.print(f"Faults are on: {len(faults.faults)}, by the seed {faults.seed}.\n")
                OUT.file.flush()
            serve(site, listener)
    except KeyboardInterrupt:
        pass
    OUT.print("\nThe shop is closed.")
    OUT.file.flush()
    # Taking the tables down item by item would keep the terminal for seconds, for nothing.
    os._exit(0)


@contextmanager
def _shop_in_process(site: LocalSite) -> Iterator[Shop]:
    """The shop without the network, for what is done before its doors open."""
    shop = Shop("http://localhost", transport=httpx.WSGITransport(app=site))
    try:
        yield shop
    finally:
        shop.close()


def appointed(shop: Shop) -> Session:
    """Make the local administrator, the way an operator does on AWS."""
    account = {"email": STAFF_EMAIL, "password": STAFF_PASSWORD, "name": "Local administrator"}
    try:
        shop.call("POST", "/v1/users", account)
    except ShopRefusedError as refusal:
        if refusal.code != "email_taken":
            raise
    boto3.client("lambda").invoke(
        FunctionName="tradepost-local-users-grant_role",
        Payload=f'{{"email": "{STAFF_EMAIL}", "role": "admin", "vouched": true}}'.encode(),
    )
    return session_of(shop, STAFF_EMAIL, STAFF_PASSWORD)


def _stocked(staff: Session) -> None:
    """Import the demonstration shop, as any merchant imports a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "demonstration shop.jsonl"
        file.write_text(as_jsonl(), encoding="utf-8")
        load(file, staff, currency="GBP")


def _doormat(path: str) -> tuple[str, bytes] | None:
    """What a browser finds at the door, until the shop has a storefront."""
    if path != "/":
        return None
    links = "".join(f'<li><a href="{address}">{name}</a></li>' for name, address in _PAGES.items())
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tradepost</title>'
        '<body style="font: 1.1rem/1.6 system-ui, sans-serif; margin: 3rem auto; max-width: 36rem">'
        f"<h1>The shop is open</h1><ul>{links}</ul></body></html>"
    )
    return "text/html; charset=utf-8", page.encode()


def _picture(path: str) -> tuple[str, bytes] | None:
    drawn = picture(path) if path.startswith("/demo/") else None
    return None if drawn is None else (CONTENT_TYPE, drawn)


def _uploaded(path: str) -> tuple[str, bytes] | None:
    """Show a picture that a merchant uploaded, as the distribution does on AWS."""
    if not path.startswith("/pictures/"):
        return None
    try:
        found = boto3.client("s3").get_object(Bucket=os.environ["PICTURES_BUCKET"], Key=path[1:])
    except ClientError:
        return None
    return found["ContentType"], found["Body"].read()


def _welcome(url: str, *, method: str, empty: bool) -> None:
    OUT.print(f"\n[bold]The shop is open at {url}[/bold]  (Ctrl-C closes it)\n")
    OUT.print(f"  Try the API     {url}/docs")
    OUT.print(f"  Products        {url}/v1/products")
    OUT.print(f"  Mailbox         {url}/_local/mailbox.html")
    OUT.print(
        "  AWS, as it is   AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws --region eu-west-1"
        f" --endpoint-url {url}/_aws dynamodb list-tables",
        soft_wrap=True,
    )
    OUT.print(f"  Administrator   {STAFF_EMAIL} / {STAFF_PASSWORD}\n")
    if not empty:
        OUT.print(_first_purchase(url, method), markup=False, soft_wrap=True)
    OUT.file.flush()


def _first_purchase(url: str, method: str) -> str:
    """The commands of a first purchase, with curl alone, as the README has them."""
    return f"""\
A first purchase, as a guest (the README has it as a customer):

  TOKEN=$(curl -s -X POST {url}/v1/guests | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  curl -s "{url}/v1/products?q=mug"
  curl -s -X PUT {url}/v1/cart/lines/{_DEMO_SKU} -H "Authorization: Bearer $TOKEN" \\
       -H 'Content-Type: application/json' -d '{{"quantity": 1}}'
  curl -s -X POST {url}/v1/checkouts -H "Authorization: Bearer $TOKEN" \\
       -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s)" -d '{{
         "email": "you@example.com", "payment_method": "{method}",
         "expected_total": {{"amount_minor": {_DEMO_AMOUNT_MINOR}, "currency": "GBP"}},
         "shipping_address": {{"name": "You", "line1": "1 Road", "city": "York",
                              "postal_code": "YO1 7HH", "country": "GB"}}}}'
  curl -s {url}/v1/orders -H "Authorization: Bearer $TOKEN"
"""
