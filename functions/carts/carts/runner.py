"""The checkout's state machine, as carts starts it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tradepost.platform.dynamodb import unavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsRunner:
    """Satisfies `ports.CheckoutRunner`."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, order_id: str, correlation_id: str) -> None:
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=order_id,
                input=json.dumps({"order_id": order_id, "correlation_id": correlation_id}),
            )
        except ClientError as error:
            # A STANDARD machine runs a name once; an EXPRESS one runs it again, which does no harm.
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise unavailable(error) from error
