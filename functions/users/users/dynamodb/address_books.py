"""
Address books in the `users` table, which `users.dynamodb` draws.

    USER#<user id>   ADDRESSES   addresses: [address_id, address, version, fingerprint],
                                 default_id, version

A book is one item, so that its bound and its one default need no other condition than its version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item
from users.address_book import AddressBook, KeptAddress
from users.dynamodb.table import Table, user_pk

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDBAddressBooks:
    """Satisfies `ports.AddressBookRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def get(self, user_id: str) -> AddressBook:
        item = self._table.read(_key(user_id))
        return _to_book(item) if item else AddressBook(user_id)

    def save(self, book: AddressBook) -> None:
        item = _to_item(book)
        put = self._table.put_new(item) if book.version == 1 else self._table.put_next(item)
        in_the_way = self._table.write(put)
        if in_the_way not in (None, item):
            raise StaleError("the address book changed since it was read")


def _key(user_id: str) -> dict[str, str]:
    return {"pk": user_pk(user_id), "sk": "ADDRESSES"}


def _to_item(book: AddressBook) -> Item:
    return {
        **_key(book.user_id),
        "user_id": book.user_id,
        "addresses": [
            {
                "address_id": kept.address_id,
                "address": kept.address,
                "version": kept.version,
                "fingerprint": kept.fingerprint,
            }
            for kept in book.addresses
        ],
        "default_id": book.default_id,
        "version": book.version,
    }


def _to_book(item: Item) -> AddressBook:
    return AddressBook(
        user_id=item["user_id"],
        addresses=tuple(KeptAddress(**kept) for kept in item["addresses"]),
        default_id=item["default_id"],
        version=item["version"],
    )
