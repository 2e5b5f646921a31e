"""Users' ports in memory. The repositories pass the suite of the DynamoDB ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tradepost.contracts.users import UserRegisteredV1
from tradepost.kernel.errors import StaleError
from users.address_book import AddressBook
from users.model import Account, AccountNotFoundError, EmailTakenError, VersionMismatchError
from users.ports import AccessToken, DueLetter
from users.sessions import Session


class InMemoryAccounts:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.events: dict[str, UserRegisteredV1] = {}

    def add(
        self, account: Account, event: UserRegisteredV1, letter: DueLetter | None = None
    ) -> None:
        holder = self.by_email(account.email)
        if holder is not None and holder != account:
            raise EmailTakenError
        self.accounts[account.user_id] = account
        self.events[event.event_id] = event

    def get(self, user_id: str) -> Account:
        if user_id not in self.accounts:
            raise AccountNotFoundError
        return self.accounts[user_id]

    def by_email(self, email: str) -> Account | None:
        return next((known for known in self.accounts.values() if known.email == email), None)

    def save(self, account: Account) -> None:
        stored = self.accounts.get(account.user_id)
        if stored == account:
            return
        if stored is None or stored.version != account.version - 1:
            raise VersionMismatchError
        self.accounts[account.user_id] = account


class InMemorySessions:
    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}

    def add(self, session: Session) -> None:
        self.sessions[session.session_id] = session

    def find(self, user_id: str, session_id: str) -> Session | None:
        session = self.sessions.get(session_id)
        return session if session and session.user_id == user_id else None

    def replace(self, session: Session) -> None:
        stored = self.sessions.get(session.session_id)
        if stored == session:
            return
        if stored is None or stored.version != session.version - 1:
            raise StaleError("the session was refreshed or ended meanwhile")
        self.sessions[session.session_id] = session

    def end(self, user_id: str, session_id: str) -> None:
        if self.find(user_id, session_id):
            del self.sessions[session_id]


class QuickPasswords:
    """Hashes at once and remembers what it was asked to check. `scheme` plays the parameters."""

    def __init__(self, scheme: str = "v1") -> None:
        self.scheme = scheme
        self.checked: list[str] = []

    @property
    def decoy(self) -> str:
        return f"{self.scheme}:no such password\0"

    def hash(self, password: str) -> str:
        return f"{self.scheme}:{password}"

    def matches(self, password_hash: str, password: str) -> bool:
        self.checked.append(password_hash)
        return password_hash.partition(":")[2] == password

    def is_outdated(self, password_hash: str) -> bool:
        return not password_hash.startswith(f"{self.scheme}:")


class ReadableAccessTokens:
    """Issues tokens a test can read: `<principal> as <role>`."""

    def issue(self, principal_id: str, role: str, lifetime: timedelta) -> AccessToken:
        return AccessToken(f"{principal_id} as {role}", lifetime)


class EndlessPatience:
    """Counts nothing: nobody is refused."""

    def log_in(self, subject: str) -> datetime:
        return datetime(2026, 2, 3, tzinfo=UTC)

    def succeeded(self, subject: str, counted_at: datetime | None = None) -> None: ...


class NamedDevices:
    """Tokens a test can read: `device of <user> under password <n>`."""

    def issue(self, account: Account) -> str:
        return f"device of {account.user_id} under password {account.generation}"

    def known(self, token: str | None, account: Account) -> str | None:
        return token if token == self.issue(account) else None


class InMemoryAddressBooks:
    def __init__(self) -> None:
        self.books: dict[str, AddressBook] = {}

    def get(self, user_id: str) -> AddressBook:
        return self.books.get(user_id, AddressBook(user_id))

    def save(self, book: AddressBook) -> None:
        stored = self.get(book.user_id)
        if stored == book:
            return
        if stored.version != book.version - 1:
            raise StaleError("the address book changed since it was read")
        self.books[book.user_id] = book
