"""Errors as botocore raises them when a service refuses a call."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

_STATUS = {
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
}


class NotModelledError(Exception):
    """The application does something that this model of AWS does not know: add it there."""


def refusal(code: str, message: str = "", **told: Any) -> ClientError:
    """Make the error; `told` is what the answer says besides, such as `Item`."""
    return ClientError(
        {
            "Error": {"Code": code, "Message": message or code},
            "ResponseMetadata": {"HTTPStatusCode": _STATUS.get(code, 400)},
            **told,
        },
        "",
    )


class UnfitError(ClientError):
    """The request is well formed, but not for the item as it is. It cancels a transaction."""


def unfit(message: str) -> UnfitError:
    """Make DynamoDB's error for a request that another item would have made right."""
    error = invalid(message)
    return UnfitError(error.response, "")


def invalid(message: str) -> ClientError:
    """Make DynamoDB's error for a request that no state of the table could make right."""
    return refusal("ValidationException", message)
