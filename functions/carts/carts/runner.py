"""The checkout's state machine, as carts starts it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tradepost.kernel.ids import new_id
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
            self._start(order_id, order_id, correlation_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise unavailable(error) from error
            # A STANDARD machine runs a name once, and that execution is over, or it would have
            # been answered with. The checkout is not: it needs an execution of another name.
            self._start(new_id(order_id), order_id, correlation_id)

    def _start(self, name: str, order_id: str, correlation_id: str) -> None:
        self._client.start_execution(
            stateMachineArn=self._state_machine_arn,
            name=name,
            input=json.dumps({"order_id": order_id, "correlation_id": correlation_id}),
        )
