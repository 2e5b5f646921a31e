"""Names that a replay gives, the same whenever the same file is replayed under the same run.

They are what lets an interrupted replay find its own orders again: an order's contact e-mail
names its run and its invoice, and the orders table keeps it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.cli.buying import address
from infra.cli.replay.catalogue import Invoice
from infra.cli.replay.planning import Reversal
from infra.cli.shop import Json

RUN_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

_PLAIN = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_PLAIN_LENGTH_MAX = 40
_DIGEST_LENGTH = 12
_DEFAULT_COUNTRY = "GB"

# The data set's own names for the countries its customers live in.
_COUNTRIES = {
    "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Brazil": "BR",
    "Canada": "CA", "Channel Islands": "JE", "Cyprus": "CY", "Czech Republic": "CZ",
    "Denmark": "DK", "EIRE": "IE", "Finland": "FI", "France": "FR", "Germany": "DE",
    "Greece": "GR", "Hong Kong": "HK", "Iceland": "IS", "Israel": "IL", "Italy": "IT",
    "Japan": "JP", "Korea": "KR", "Lebanon": "LB", "Lithuania": "LT", "Malta": "MT",
    "Netherlands": "NL", "Nigeria": "NG", "Norway": "NO", "Poland": "PL", "Portugal": "PT",
    "RSA": "ZA", "Saudi Arabia": "SA", "Singapore": "SG", "Spain": "ES", "Sweden": "SE",
    "Switzerland": "CH", "Thailand": "TH", "USA": "US", "United Arab Emirates": "AE",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One replay, however often it is interrupted. The name is part of e-mail addresses."""

    name: str

    def email_of(self, invoice: str) -> str:
        """Name the contact address of an invoice's order."""
        return f"invoice-{_plain(invoice)}@{self._domain}"

    def checkout_key(self, invoice: str) -> str:
        return f"replay-{self.name}-{_plain(invoice)}"

    def reversal_key(self, reversal: Reversal) -> str:
        cancellation, invoice = _plain(reversal.cancellation), _plain(reversal.invoice.number)
        part = f"{reversal.kind}-{reversal.part}"
        return f"replay-{self.name}-{part}-{cancellation}-of-{invoice}"

    def invoices_by_email(self, invoices: Iterable[Invoice]) -> dict[str, str]:
        return {self.email_of(invoice.number): invoice.number for invoice in invoices}

    @property
    def _domain(self) -> str:
        return f"{self.name}.replay.example"


def run_of(path: Path, *, services_sold: bool) -> Run:
    """Name the run after what decides its orders: the file's bytes, and what counts as a sale."""
    digest = hashlib.sha256(path.read_bytes())
    digest.update(b"services sold" if services_sold else b"")
    return Run(digest.hexdigest()[:_DIGEST_LENGTH])


def account_of(customer: str) -> tuple[str, str]:
    """Name a customer's e-mail and password: one account per customer, whatever the run.

    Anyone can derive the password. A shop that order history is replayed into is a trial shop.
    """
    password = hashlib.sha256(f"replay of {customer}".encode()).hexdigest()[:24]
    return f"customer-{_plain(customer)}@replay.example", password


def address_of(invoice: Invoice) -> Json:
    """Write a shipping address: the file knows the country alone."""
    buyer = "Guest" if invoice.customer is None else f"Customer {_plain(invoice.customer)}"
    country = _COUNTRIES.get(invoice.country, _DEFAULT_COUNTRY)
    return address(buyer, f"Invoice {_plain(invoice.number)}", country)


def _plain(name: str) -> str:
    """Spell a name so that any e-mail address or header may hold it, different names apart."""
    lower = name.lower()
    if _PLAIN.fullmatch(lower) and len(lower) <= _PLAIN_LENGTH_MAX:
        return lower
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
