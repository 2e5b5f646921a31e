"""Who the command line is at the shop."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from infra.cli.shop import Session, Shop, ShopRefusedError, session_of

DEFAULT_URL = "http://localhost:8000"

Url = Annotated[str, typer.Option(help="The shop's address.")]
Email = Annotated[
    str | None,
    typer.Option(
        "--email",
        envvar="TRADEPOST_STAFF_EMAIL",
        help="An administrator's e-mail; a local shop tells its own.",
    ),
]
Password = Annotated[
    str | None,
    typer.Option("--password", envvar="TRADEPOST_STAFF_PASSWORD", help="And their password."),
]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class NoCredentialsError(Exception):
    """Nobody said who is calling, and the shop is not a local one that tells."""


def staff_session(shop: Shop, email: str | None, password: str | None) -> Session:
    """Begin a session of the staff: the one named, or the one a local shop names itself.

    Only a shop on this machine is asked, so that no other can make us log in as it likes.

    Raises
    ------
    NoCredentialsError
        There is nobody to log in as.
    """
    if email is not None and password is not None:
        return session_of(shop, email, password)
    if urlsplit(shop.url).hostname in _LOOPBACK:
        try:
            local = shop.call("GET", "/_local")
        except ShopRefusedError:
            local = {}
        staff = local.get("staff")
        if local.get("stage") == "local" and isinstance(staff, dict):
            return session_of(shop, str(staff["email"]), str(staff["password"]))
    missing = "--password" if email is not None else "--email and --password"
    variables = "TRADEPOST_STAFF_EMAIL and TRADEPOST_STAFF_PASSWORD"
    raise NoCredentialsError(f"say who you are: {missing}, or set {variables}")
