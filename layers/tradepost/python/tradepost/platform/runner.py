"""The checkout's state machine, as those start it who begin a checkout or find one unfinished."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tradepost.kernel.ids import new_id
from tradepost.platform.dynamodb import unavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsRunner:
    """Runs checkouts. Satisfies the ports named `CheckoutRunner`."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, order_id: str, correlation_id: str) -> None:
        """Have a checkout run; a repetition meets the execution that runs already.

        Raises
        ------
        UnavailableError
            Nothing is known: start it again.
        """
        try:
            self._start(order_id, order_id, correlation_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise unavailable(error) from error
            # A STANDARD machine runs a name once, and that execution is over, or it would have
            # been answered with. The checkout is not: it needs an execution of another name.
            self.start_again(order_id, correlation_id)

    def start_again(self, order_id: str, correlation_id: str) -> None:
        """Have a checkout run on, beside whatever else of it runs.

        Under a name of its own: one that runs already may have passed what it is to look at anew.

        Raises
        ------
        UnavailableError
            Nothing is known: start it again.
        """
        try:
            self._start(new_id(order_id), order_id, correlation_id)
        except ClientError as error:
            raise unavailable(error) from error

    def _start(self, name: str, order_id: str, correlation_id: str) -> None:
        self._client.start_execution(
            stateMachineArn=self._state_machine_arn,
            name=name,
            input=json.dumps({"order_id": order_id, "correlation_id": correlation_id}),
        )
