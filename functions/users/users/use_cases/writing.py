"""Letters that are due, and what stands in them at the moment of writing."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradepost.contracts.event import event_id
from tradepost.contracts.users import UserLetterDueV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.ids import NewId
from tradepost.kernel.randomness import RandomBytes
from users.letters import Letter, LetterKind
from users.model import Account, AccountNotFoundError
from users.ports import AccountRepository, DueLetter, LetterRepository


@dataclass(frozen=True, slots=True)
class WrittenLetter:
    """All that a mail needs. The code is told this once and kept nowhere."""

    kind: LetterKind
    email: str = field(repr=False)
    name: str = field(repr=False)
    code: str | None = field(repr=False)


def due_letter(
    account: Account,
    kind: LetterKind,
    *,
    to: str | None = None,
    correlation_id: str,
    now: Clock,
    new_id: NewId,
) -> DueLetter:
    """Make a letter to an account's holder, and the event that has it written."""
    return letter_for(
        account.user_id,
        kind,
        generation=account.generation,
        to=to,
        correlation_id=correlation_id,
        now=now,
        new_id=new_id,
    )


def letter_for(
    user_id: str,
    kind: LetterKind,
    *,
    generation: int = 1,
    to: str | None = None,
    correlation_id: str,
    now: Clock,
    new_id: NewId,
) -> DueLetter:
    """Make a letter to a user id, which need not be anybody's."""
    at = now()
    letter = Letter.due(user_id, new_id("ltr"), kind, at=at, generation=generation, to=to)
    event = UserLetterDueV1(
        event_id=event_id(UserLetterDueV1.TYPE, letter.letter_id, letter.version),
        occurred_at=at,
        correlation_id=correlation_id,
        version=letter.version,
        user_id=user_id,
        letter_id=letter.letter_id,
    )
    return DueLetter(letter, event)


def write_letter(
    user_id: str,
    letter_id: str,
    *,
    accounts: AccountRepository,
    letters: LetterRepository,
    now: Clock,
    random_bytes: RandomBytes,
) -> WrittenLetter | None:
    """Tell what a letter says and to whom; None if there is nobody to write to any more.

    Each writing draws a code of its own: whoever asks twice sends two codes that are good.

    Raises
    ------
    StaleError
        It was written by somebody else at the same moment.
    """
    letter = letters.find(user_id, letter_id)
    if letter is None or letter.has_expired(now()):
        return None
    try:
        account = accounts.get(user_id)
    except AccountNotFoundError:
        return None
    if letter.generation != account.generation:
        return None
    address = letter.to or account.email
    written, code = letter.written_to(address, random_bytes)
    if code is not None:
        letters.save(written)
    return WrittenLetter(letter.kind, address, account.name, str(code) if code else None)
