"""The addresses a customer keeps: one default, a bound, and edits that meet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.users import InMemoryAddressBooks
from tests.integration.schedules import every_schedule
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.platform import aws
from users import use_cases
from users.address_book import (
    ADDRESSES_MAX,
    AddressBook,
    AddressChangedError,
    AddressLimitError,
    AddressNotFoundError,
    KeptAddress,
)
from users.dynamodb import DynamoDBAddressBooks
from users.ports import AddressBookRepository

from .conftest import TABLE

MIA = "usr_mia"
WHITBY = {"name": "Mia", "line1": "1 Harbour Road", "city": "Whitby", "country": "GB"}
YORK = {**WHITBY, "city": "York"}


@pytest.fixture(params=["dynamodb", "in_memory"])
def books(request: pytest.FixtureRequest) -> AddressBookRepository:
    if request.param == "dynamodb":
        return DynamoDBAddressBooks(aws.dynamodb(), TABLE)
    return InMemoryAddressBooks()


def keep(
    books: Any, number: int, *, as_default: bool = False, fingerprint: str = "f"
) -> AddressBook:
    return use_cases.add_address(
        MIA,
        f"adr_{number}",
        WHITBY,
        as_default=as_default,
        fingerprint=fingerprint,
        books=books,
    )


def change(books: Any, number: int, *, version: int | None, **changes: Any) -> AddressBook:
    return use_cases.change_address(
        MIA,
        f"adr_{number}",
        changes.get("address", YORK),
        as_default=changes.get("as_default", False),
        version=version,
        books=books,
    )


def test_nothing_is_kept_at_first(books):
    assert books.get(MIA) == AddressBook(MIA)


def test_the_first_address_is_the_default_until_another_is_made_it(books):
    keep(books, 1)
    first = keep(books, 2)
    second = keep(books, 3, as_default=True)

    assert (first.default_id, second.default_id) == ("adr_1", "adr_3")
    assert books.get(MIA) == second


def test_an_address_asked_for_twice_by_its_key_is_kept_once(books):
    keep(books, 1)

    assert len(keep(books, 1).addresses) == 1


def test_another_address_under_the_same_key_is_refused(books):
    book = keep(books, 1)

    with pytest.raises(IdempotencyMismatchError):
        keep(books, 1, fingerprint="another")

    assert books.get(MIA) == book


def test_an_address_asked_for_again_is_given_though_it_was_changed_meanwhile(books):
    keep(books, 1)
    changed = change(books, 1, version=1)

    assert keep(books, 1) == changed
    with pytest.raises(IdempotencyMismatchError):
        keep(books, 1, fingerprint="another")


def test_an_address_older_than_fingerprints_is_given_again_under_its_key(books):
    book = AddressBook(MIA, (KeptAddress("adr_1", WHITBY),), "adr_1", version=1)
    books.save(book)

    assert keep(books, 1) == book


def test_an_address_changes_at_the_version_that_was_read(books):
    keep(books, 1)

    changed = change(books, 1, version=1)

    assert (changed.get("adr_1").address, changed.get("adr_1").version) == (YORK, 2)


def test_an_address_that_changed_since_it_was_read_is_left_as_it_is(books):
    keep(books, 1)
    change(books, 1, version=1)

    with pytest.raises(AddressChangedError):
        change(books, 1, version=1, address=WHITBY)
    with pytest.raises(AddressChangedError):
        use_cases.remove_address(MIA, "adr_1", version=1, books=books)

    assert books.get(MIA).get("adr_1").address == YORK


def test_the_same_address_again_is_no_change(books):
    keep(books, 1)
    changed = change(books, 1, version=1)

    assert change(books, 1, version=2) == changed


def test_the_oldest_of_the_others_is_the_default_once_that_is_struck_out(books):
    for number in (1, 2, 3):
        keep(books, number)

    use_cases.remove_address(MIA, "adr_1", version=None, books=books)

    assert books.get(MIA).default_id == "adr_2"


def test_an_empty_book_has_no_default(books):
    keep(books, 1)

    use_cases.remove_address(MIA, "adr_1", version=None, books=books)

    assert (books.get(MIA).addresses, books.get(MIA).default_id) == ((), None)


def test_what_is_not_there_cannot_be_changed_or_struck_out(books):
    with pytest.raises(AddressNotFoundError):
        change(books, 1, version=None)
    with pytest.raises(AddressNotFoundError):
        use_cases.remove_address(MIA, "adr_1", version=None, books=books)


def test_a_book_is_full_at_some_time(books):
    for number in range(ADDRESSES_MAX):
        keep(books, number)

    with pytest.raises(AddressLimitError):
        keep(books, ADDRESSES_MAX)

    assert len(books.get(MIA).addresses) == ADDRESSES_MAX


def test_a_version_that_is_not_the_next_is_not_stored(books):
    book = keep(books, 1)

    with pytest.raises(StaleError):
        books.save(AddressBook(MIA, version=1))
    with pytest.raises(StaleError):
        books.save(AddressBook(MIA, version=3))

    assert books.get(MIA) == book


def test_of_two_edits_of_one_version_one_wins_in_every_order_of_calls():
    client = aws.dynamodb()

    def begin() -> None:
        client.delete_item(
            TableName=TABLE, Key={"pk": {"S": f"USER#{MIA}"}, "sk": {"S": "ADDRESSES"}}
        )
        keep(DynamoDBAddressBooks(client, TABLE), 1)

    def edit(city: str) -> Any:
        return lambda watched: change(
            DynamoDBAddressBooks(watched, TABLE), 1, version=1, address={**WHITBY, "city": city}
        )

    outcomes = list(every_schedule(client, begin, [edit("York"), edit("Leeds")]))

    assert len(outcomes) >= 6
    for outcome in outcomes:
        assert sum(isinstance(one, AddressBook) for one in outcome) == 1, outcome
        assert sum(isinstance(one, AddressChangedError) for one in outcome) == 1, outcome


def test_edits_of_two_addresses_meet_and_both_are_kept_in_every_order_of_calls():
    client = aws.dynamodb()
    books = DynamoDBAddressBooks(client, TABLE)
    cities = []

    def begin() -> None:
        client.delete_item(
            TableName=TABLE, Key={"pk": {"S": f"USER#{MIA}"}, "sk": {"S": "ADDRESSES"}}
        )
        keep(books, 1)
        keep(books, 2)

    def edit(number: int) -> Any:
        return lambda watched: change(DynamoDBAddressBooks(watched, TABLE), number, version=1)

    for _ in every_schedule(client, begin, [edit(1), edit(2)]):
        cities.append({kept.address["city"] for kept in books.get(MIA).addresses})

    assert len(cities) >= 6
    assert all(city == {"York"} for city in cities)
