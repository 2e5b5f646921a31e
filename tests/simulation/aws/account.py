"""An account: the modelled services, reached as botocore reaches them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tests.simulation.aws import resources
from tests.simulation.aws.dynamodb import DynamoDB
from tests.simulation.aws.keys import KMS, SecretsManager
from tests.simulation.aws.machines import Execution, StepFunctions
from tests.simulation.aws.mail import SES
from tests.simulation.aws.queues import Queue
from tests.simulation.aws.refusals import NotModelledError
from tests.simulation.aws.topics import SNS


class Invoked(Protocol):
    """What came of an invocation: the answer, or the error as the runtime reports it."""

    answer: Any
    error: str | None


class Account:
    """All services of one account.

    Parameters
    ----------
    now
        Seconds since the epoch.
    begin
        Called with each execution of a state machine that is started.
    invoke
        Invokes a function by name with an event.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        begin: Callable[[Execution], None],
        invoke: Callable[[str, Any], Invoked],
    ) -> None:
        self.dynamodb = DynamoDB(now)
        self.sns = SNS(now)
        self.queues: dict[str, Queue] = {}
        self.kms = KMS()
        self.secrets_manager = SecretsManager()
        self.ses = SES()
        self.step_functions = StepFunctions(begin)
        self._invoke = invoke
        self._services: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
            "dynamodb": self.dynamodb.call,
            "kms": self.kms.call,
            "lambda": self._lambda,
            "secretsmanager": self.secrets_manager.call,
            "sesv2": self.ses.call,
            "sns": self.sns.call,
            "stepfunctions": self.step_functions.call,
        }

    def deploy(self, templates: Path, parameters: Mapping[str, str]) -> dict[str, str]:
        """Create what the templates describe; return their outputs."""
        return resources.create(templates, self, parameters)

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a client's method asks for. Raises ClientError as botocore would."""
        if service not in self._services:
            raise NotModelledError(f"{service}.{operation}")
        return self._services[service](operation, parameters)

    def mark(self) -> Any:
        """Remember the whole state, for `rewind`."""
        queues = {name: (dict(queue.messages), queue.sent) for name, queue in self.queues.items()}
        executions = {
            arn: replace(one, path=list(one.path))
            for arn, one in self.step_functions.executions.items()
        }
        return self.dynamodb.mark(), queues, executions, len(self.ses.sent)

    def rewind(self, mark: Any) -> None:
        """Take back all that was done since `mark`."""
        tables, queues, executions, mails = mark
        self.dynamodb.rewind(tables)
        for name, (messages, sent) in queues.items():
            self.queues[name].messages = dict(messages)
            self.queues[name].sent = sent
        self.step_functions.executions = dict(executions)
        del self.ses.sent[mails:]

    def _lambda(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if operation != "Invoke" or "InvocationType" in parameters:
            raise NotModelledError(f"lambda.{operation}")
        invoked = self._invoke(parameters["FunctionName"], json.loads(parameters["Payload"]))
        told = (
            invoked.answer
            if invoked.error is None
            else {"errorType": invoked.error, "errorMessage": ""}
        )
        answer: dict[str, Any] = {
            "StatusCode": 200,
            "Payload": io.BytesIO(json.dumps(told).encode()),
        }
        if invoked.error is not None:
            answer["FunctionError"] = "Unhandled"
        return answer
