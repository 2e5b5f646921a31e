"""Faults of AWS that may pass are told apart from mistakes of ours."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from tradepost.kernel.errors import UnavailableError
from tradepost.platform.dynamodb import passing_faults_named

WHERE = {"endpoint_url": "https://dynamodb.example"}


def said(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetItem")


@pytest.mark.parametrize(
    "fault",
    [
        ConnectTimeoutError(**WHERE),
        EndpointConnectionError(error="no route", **WHERE),
        ReadTimeoutError(**WHERE),
        ConnectionClosedError(**WHERE),
        said("ThrottlingException"),
        said("InternalServerError"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_call_that_may_succeed_later_is_unavailable(fault: BotoCoreError | ClientError) -> None:
    with pytest.raises(UnavailableError), passing_faults_named():
        raise fault


def test_a_request_that_was_wrong_stays_the_mistake_it_is() -> None:
    with pytest.raises(ClientError), passing_faults_named():
        raise said("ValidationException")
