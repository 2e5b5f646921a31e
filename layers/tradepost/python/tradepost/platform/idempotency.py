"""Idempotency keys: the record of a request, written in the transaction of its effect.

Because record and effect are one transaction there is no moment "in progress" at all: a crash
leaves either both or neither, and of two requests at once exactly one writes (rule R19). The
loser reads the record back: the same body gets the first answer again, another body is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from tradepost.kernel.clock import epoch_seconds, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.platform.dynamodb import Item, to_item

# Webhook senders retry for three days; a person's client for less. A week covers both.
_KEPT = timedelta(days=7)

_IS_NEW = "attribute_not_exists(pk)"


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """One request as its sender identified it."""

    principal_id: str
    operation: str  # the use case's name: a key means nothing outside it
    key: str
    fingerprint: str  # digest of the body: what "the same request" means

    @property
    def record_key(self) -> dict[str, str]:
        pk = f"IDEMPOTENCY#{self.principal_id}#{self.operation}#{self.key}"
        return {"pk": pk, "sk": "IDEMPOTENCY"}

    def put(self, table: str, outcome: dict[str, Any]) -> Any:
        """Build the transaction's write that remembers `outcome` for a repeated request."""
        return {
            "Put": {
                "TableName": table,
                "Item": to_item(
                    {
                        **self.record_key,
                        "fingerprint": self.fingerprint,
                        "outcome": outcome,
                        "expires_at": epoch_seconds(utc_now() + _KEPT),
                    }
                ),
                "ConditionExpression": _IS_NEW,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def outcome_of(self, record: Item) -> dict[str, Any]:
        """Read the first outcome out of the stored record.

        Raises
        ------
        IdempotencyMismatchError
            The record is of a request with another body.
        """
        if record["fingerprint"] != self.fingerprint:
            raise IdempotencyMismatchError
        outcome: dict[str, Any] = record["outcome"]
        return outcome


def fingerprint(body: BaseModel) -> str:
    """Digest a parsed body: two bodies that mean the same have the same fingerprint."""
    return hashlib.sha256(body.model_dump_json().encode()).hexdigest()
