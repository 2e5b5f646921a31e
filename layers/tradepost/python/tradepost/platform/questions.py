"""Asking another context something that no event told: the last resort between contexts.

A question is a Lambda function of the context that owns the answer, invoked synchronously. The
asking context names it in its source as `<context>-<function>`, from which packaging derives the
permission to ask.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tradepost.kernel.errors import UnavailableError
from tradepost.platform.dynamodb import unavailable

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class Questions:
    """Asks the functions of one stage."""

    def __init__(self, client: LambdaClient, stage: str) -> None:
        self._client = client
        self._stage = stage

    def ask(self, function: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """Ask `<context>-<function>` and return its answer.

        Raises
        ------
        UnavailableError
            It could not be asked, or failed: the same question may be answered later.
        """
        try:
            answer = self._client.invoke(
                FunctionName=f"tradepost-{self._stage}-{function}",
                Payload=json.dumps(question).encode(),
            )
        except ClientError as error:
            raise unavailable(error) from error
        told: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise UnavailableError(f"{function} failed: {told.get('errorType')}")
        return told
