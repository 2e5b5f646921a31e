"""Sending dead letters back to their consumer, or throwing them away.

At no moment is a message in no queue or in no record. A letter is sent back before it is deleted
here: what dies between the two leaves it in both, and consumers are safe to repeat. A letter that
is thrown away is in the record, whole, before it is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from infra.cli.dead_letters.audit import Act
from infra.cli.dead_letters.queues import DeadLetter, Hand


class Audit(Protocol):
    def record(self, act: Act, step: str, **facts: Any) -> None:
        """Keep a line about the act. What it raises stops the act."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant: those of these ids or, with None, all; at most so many."""

    ids: frozenset[str] | None
    at_most: int

    def told(self) -> dict[str, Any]:
        return {"asked_for": "all" if self.ids is None else sorted(self.ids), "max": self.at_most}


Advance = Callable[[], None]
Missing = list[str]  # the ids asked for that no message had


def find(hand: Hand, wanted: Wanted) -> Iterator[DeadLetter]:
    """Take the letters that are meant, looking no further than needed."""
    found = 0
    for letter in hand.letters():
        # One event may lie here twice, so an id that was found is still looked for.
        if wanted.ids is None or letter.is_one_of(wanted.ids):
            found += 1
            yield letter
            if found == wanted.at_most:
                return


def missing(wanted: Wanted, found: list[DeadLetter]) -> Missing:
    """Name the ids asked for that none of these letters has."""
    had = {each for letter in found for each in (letter.event_id, letter.message_id)}
    return sorted((wanted.ids or frozenset()) - had)


def attributes_of(letter: DeadLetter) -> dict[str, str]:
    """Read the message attributes as text."""
    return {
        name: str(value.get("StringValue", value.get("BinaryValue")))
        for name, value in letter.attributes.items()
    }


def redrive(hand: Hand, wanted: Wanted, act: Act, *, audit: Audit, advance: Advance) -> Missing:
    """Send the letters back to their consumer's queue: record the intent, send, record, delete."""

    def one(letter: DeadLetter) -> None:
        sent_as = hand.send_back(letter)
        audit.record(act, "redriven", **_about(letter), sent_as=sent_as)
        hand.delete(letter)

    return _each(hand, wanted, act, one, audit=audit, advance=advance)


def discard(hand: Hand, wanted: Wanted, act: Act, *, audit: Audit, advance: Advance) -> Missing:
    """Throw the letters away: record each whole, then delete it."""

    def one(letter: DeadLetter) -> None:
        audit.record(
            act, "discarded", **_about(letter), body=letter.body, attributes=attributes_of(letter)
        )
        hand.delete(letter)

    return _each(hand, wanted, act, one, audit=audit, advance=advance)


def _each(
    hand: Hand,
    wanted: Wanted,
    act: Act,
    one: Callable[[DeadLetter], None],
    *,
    audit: Audit,
    advance: Advance,
) -> Missing:
    audit.record(act, "begun", **wanted.told())
    done = []
    for letter in find(hand, wanted):
        one(letter)
        done.append(letter)
        advance()
    not_there = missing(wanted, done)
    audit.record(act, "ended", messages=len(done), missing=not_there)
    return not_there


def _about(letter: DeadLetter) -> dict[str, Any]:
    return {
        "event_id": letter.event_id,
        "type": letter.type,
        "message_id": letter.message_id,
        "sent_at": letter.sent_at.isoformat(timespec="milliseconds"),
        "received": letter.received,
    }
