"""Asking the owners of addresses, at the moment of writing: events carry none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from notifications.model import Contact, amount_in_words
from tradepost.kernel.errors import UnavailableError
from tradepost.platform.dynamodb import unavailable

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class AskedContacts:
    """Contacts by invoking the owners' functions. Satisfies `ports.Contacts`."""

    def __init__(self, client: LambdaClient, function_prefix: str) -> None:
        self._client = client
        self._function_prefix = function_prefix

    def of_order(self, order_id: str) -> Contact | None:
        answer = self._asked("orders-order_contact", {"order_id": order_id})
        if answer["email"] is None:
            return None
        facts = {
            "order_id": order_id,
            "lines": "one line" if answer["line_count"] == 1 else f"{answer['line_count']} lines",
            "total": amount_in_words(answer["total_minor"], answer["currency"]),
        }
        return Contact(answer["email"], answer["name"], facts)

    def of_user(self, user_id: str) -> Contact | None:
        answer = self._asked("users-contact", {"user_id": user_id})
        if answer["email"] is None:
            return None
        return Contact(answer["email"], answer["name"], {})

    def _asked(self, function: str, question: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._client.invoke(
                FunctionName=f"{self._function_prefix}-{function}",
                Payload=json.dumps(question).encode(),
            )
        except ClientError as error:
            raise unavailable(error) from error
        told: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise UnavailableError(f"{function} failed: {told.get('errorType')}")
        return told
