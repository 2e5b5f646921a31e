"""The return's state machine, as shipping starts it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shipping.model.returns import Return
from tradepost.kernel.ids import new_id
from tradepost.platform.dynamodb import unavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class ReturnMachine:
    """Satisfies `ports.ReturnRunner`."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, asked: Return) -> None:
        run = {
            "order_id": asked.order_id,
            "return_id": asked.return_id,
            "correlation_id": asked.correlation_id,
        }
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=new_id(asked.return_id),
                input=json.dumps(run),
            )
        except ClientError as error:
            raise unavailable(error) from error
