"""Keeping an address book."""

from __future__ import annotations

from collections.abc import Callable

from tradepost.kernel.errors import StaleError
from users.address_book import AddressBook
from users.ports import AddressBookRepository

# Two devices of one person rarely write at once, and never so often.
_ATTEMPTS_MAX = 5


def add_address(
    user_id: str,
    address_id: str,
    address: dict[str, str],
    *,
    as_default: bool,
    fingerprint: str,
    books: AddressBookRepository,
) -> AddressBook:
    """Keep another address; the first is the default. Once per `address_id`.

    Raises
    ------
    AddressLimitError
    IdempotencyMismatchError
        The address of this id was asked for with another fingerprint.
    StaleError
        The book kept changing.
    """
    return _changed(
        user_id,
        lambda book: book.with_new(
            address_id, address, as_default=as_default, fingerprint=fingerprint
        ),
        books,
    )


def change_address(
    user_id: str,
    address_id: str,
    address: dict[str, str],
    *,
    as_default: bool,
    version: int | None,
    books: AddressBookRepository,
) -> AddressBook:
    """Write an address anew, if it is still at `version` (None: whatever it is at).

    Raises
    ------
    AddressNotFoundError, AddressChangedError
    StaleError
        The book kept changing.
    """
    return _changed(
        user_id,
        lambda book: book.with_changed(address_id, address, as_default=as_default, version=version),
        books,
    )


def remove_address(
    user_id: str, address_id: str, *, version: int | None, books: AddressBookRepository
) -> None:
    """Strike an address out, if it is still at `version` (None: whatever it is at).

    Raises
    ------
    AddressNotFoundError, AddressChangedError
    StaleError
        The book kept changing.
    """
    _changed(user_id, lambda book: book.without(address_id, version=version), books)


def _changed(
    user_id: str, change: Callable[[AddressBook], AddressBook], books: AddressBookRepository
) -> AddressBook:
    """Load, change, store; anew if somebody wrote another address meanwhile."""
    for _ in range(_ATTEMPTS_MAX):
        book = books.get(user_id)
        changed = change(book)
        if changed is book:
            return book
        try:
            books.save(changed)
        except StaleError:
            continue
        return changed
    raise StaleError("the address book kept changing")
