"""
Where an account's holder has parcels sent: a few addresses, at most one of them the default.

* AddressNotFoundError   no such address, or somebody else's
* AddressLimitError      the book is full
* AddressChangedError    it changed since the caller read it
* IdempotencyMismatchError  its id was made for another request
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tradepost.kernel.errors import (
    ConflictError,
    IdempotencyMismatchError,
    NotFoundError,
    StaleError,
)

ADDRESSES_MAX = 20


class AddressNotFoundError(NotFoundError):
    code = "address_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such address")


class AddressLimitError(ConflictError):
    code = "address_limit"

    def __init__(self) -> None:
        super().__init__(f"an address book has at most {ADDRESSES_MAX} addresses")
        self.addresses_max = ADDRESSES_MAX


class AddressChangedError(StaleError):
    """Nothing was written. Read the address again and decide anew."""

    code = "version_mismatch"

    def __init__(self, version: int) -> None:
        super().__init__("the address changed since you read it")
        self.version = version  # the one it is at


@dataclass(frozen=True, slots=True)
class KeptAddress:
    """One address of a book, as a checkout takes it. `version` counts its own writes, from 1.

    `fingerprint` is of the request that added it; None for one older than fingerprints.
    """

    address_id: str
    address: dict[str, str] = field(repr=False)
    version: int = 1
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class AddressBook:
    """All addresses of an account, oldest first. `version` counts its writes; 0 is an empty one."""

    user_id: str
    addresses: tuple[KeptAddress, ...] = ()
    default_id: str | None = None
    version: int = 0

    def get(self, address_id: str) -> KeptAddress:
        """Find an address. Raises AddressNotFoundError."""
        for kept in self.addresses:
            if kept.address_id == address_id:
                return kept
        raise AddressNotFoundError

    def with_new(
        self, address_id: str, address: dict[str, str], *, as_default: bool, fingerprint: str
    ) -> AddressBook:
        """Add an address; the first one is the default. One that is there already stays as it is.

        Raises
        ------
        AddressLimitError, IdempotencyMismatchError
        """
        for kept in self.addresses:
            if kept.address_id == address_id:
                if kept.fingerprint not in (None, fingerprint):
                    raise IdempotencyMismatchError
                return self
        if len(self.addresses) >= ADDRESSES_MAX:
            raise AddressLimitError
        return self._next(
            (*self.addresses, KeptAddress(address_id, address, fingerprint=fingerprint)),
            address_id if as_default or not self.addresses else self.default_id,
        )

    def with_changed(
        self, address_id: str, address: dict[str, str], *, as_default: bool, version: int | None
    ) -> AddressBook:
        """Write an address anew. `version` None: whatever it is at.

        The default stays one until another address is made it.

        Raises
        ------
        AddressNotFoundError, AddressChangedError
        """
        old = self._at(address_id, version)
        changed = old
        if old.address != address:
            changed = replace(old, address=address, version=old.version + 1)
        default_id = address_id if as_default else self.default_id
        if changed == old and default_id == self.default_id:
            return self
        return self._next(
            tuple(changed if kept is old else kept for kept in self.addresses), default_id
        )

    def without(self, address_id: str, *, version: int | None) -> AddressBook:
        """Strike an address out. If it was the default, the oldest of the others is now.

        Raises
        ------
        AddressNotFoundError, AddressChangedError
        """
        old = self._at(address_id, version)
        left = tuple(kept for kept in self.addresses if kept is not old)
        default_id = self.default_id
        if default_id == address_id:
            default_id = left[0].address_id if left else None
        return self._next(left, default_id)

    def _at(self, address_id: str, version: int | None) -> KeptAddress:
        kept = self.get(address_id)
        if version not in (None, kept.version):
            raise AddressChangedError(kept.version)
        return kept

    def _next(self, addresses: tuple[KeptAddress, ...], default_id: str | None) -> AddressBook:
        return AddressBook(self.user_id, addresses, default_id, self.version + 1)
