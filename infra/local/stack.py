"""The local stack: templates deployed, apps loaded, sources mapped, everything in this process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from infra.cloudformation import environment_name
from infra.gateway_responses import RESPONSES, GatewayResponse
from infra.local import boundaries, call_counts, corrections, event_bus, templates
from infra.local.clock import Clock, use
from infra.local.corrections import (
    dynamodb_indexes,
    dynamodb_streams,
    events,
    lambda_functions,
    sns,
    sqs,
)
from infra.local.corrections.stepfunctions import REGISTER
from infra.local.event_sources import StreamSource
from infra.local.faults.later import LaterSource
from infra.local.faults.switchboard import Outside, Switchboard
from infra.local.functions import Functions
from infra.local.gateway import Gateway
from infra.local.idleness import note_write
from infra.local.mailbox import Mailbox
from infra.local.mappings import Mappings
from infra.local.pump import Pump
from infra.local.schedules import ScheduleSource
from tradepost.kernel.clock import set_clock
from tradepost.platform.cache import forget_everything

REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"

_MOTO_CONFIG = {
    "core": {"mock_credentials": True, "reset_boto3_session": False},
    "stepfunctions": {"execute_state_machine": True},
}


class LocalStack:
    """A whole stage in this process, as a context manager.

    Parameters
    ----------
    root
        The repository: `functions/`, `chalice-config/` and `infra/templates/` are read from it.
    project
        The first part of every deployed name: `<project>-<stage>-...`.
    responses
        The gateway's own answers, by API Gateway's names.
    parameters
        The templates' parameters that are not to have their defaults.
    outside
        Whom the shop reaches outside AWS, for plans of faults; imported when the stack starts.
    """

    gateway: Gateway
    functions: Functions
    pump: Pump
    mailbox: Mailbox
    faults: Switchboard
    outputs: dict[str, str]

    def __init__(
        self,
        root: Path,
        stage: str = "local",
        *,
        project: str = "tradepost",
        responses: Mapping[str, GatewayResponse] = RESPONSES,
        clock: Clock | None = None,
        parameters: Mapping[str, str] | None = None,
        outside: Callable[[], tuple[Outside, ...]] = tuple,
    ) -> None:
        self.root = root
        self.stage = stage
        self.region = REGION
        self.account_id = ACCOUNT_ID
        self.clock = clock or Clock()
        self._project = project
        self._responses = responses
        self._outside = outside
        self._parameters = {**(parameters or {}), "Stage": stage}
        self._environment: dict[str, str] = {}
        self._mock = mock_aws(config=_MOTO_CONFIG)

    def __enter__(self) -> Self:
        self._environment = dict(os.environ)
        try:
            self._start()
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pump.close()
        self._restore()

    def drain(self, timeout_seconds: float = 60.0) -> int:
        """Run until nothing moves any more; see `Pump.drain`."""
        return self.pump.drain(timeout_seconds)

    def advance(self, by: timedelta, timeout_seconds: float = 60.0) -> int:
        """Let time pass, with all that falls due meanwhile; see `Pump.advance`."""
        return self.pump.advance(by.total_seconds(), timeout_seconds)

    def reset(self) -> None:
        """Empty tables, streams, queues, executions and mails; keep what was deployed.

        Keys, secrets and the clock stay as they are. Nothing may run meanwhile; executions that
        sleep are ended.
        """
        REGISTER.stop_all()
        for table in dynamodb_backends[ACCOUNT_ID][REGION].tables.values():
            table.items.clear()
            note_write(table)
            dynamodb_indexes.forget(table)
            if table.stream_shard is not None:
                dynamodb_streams.clear(table.stream_shard)
        for queue in sqs_backends[ACCOUNT_ID][REGION].queues.values():
            with sqs.LOCK:
                queue._messages = []
                queue._pending_messages = set()
        REGISTER.clear()
        for machine in stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines:
            machine.executions = []
        for source in self.pump.sources:
            if isinstance(source, StreamSource | ScheduleSource):
                source.restart()
        self._later.clear()
        self.mailbox.clear()
        forget_everything()
        self.gateway.authorizers.forget()

    def _start(self) -> None:
        self._prepare_environment()
        corrections.install()
        use(self.clock)
        set_clock(self.clock.utc_now)
        call_counts.install()
        boundaries.install()
        self._mock.start()
        self._use_credentials()
        prefix = f"{self._project}-{self.stage}"
        self.outputs = templates.deploy(self.root / "infra" / "templates", prefix, self._parameters)
        for name, value in self.outputs.items():
            os.environ[environment_name(name)] = value
        self.functions = Functions(
            self.root,
            project=self._project,
            stage=self.stage,
            arn_prefix=f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function",
        )
        self.functions.load()
        self.functions.create_in_lambda(self._role_arn())
        lambda_functions.use(self.functions)
        sns.call_function = self._call_function
        events.bring = self._bring_event
        self.gateway = Gateway(
            self.functions,
            stage=self.stage,
            region=REGION,
            account_id=ACCOUNT_ID,
            responses=self._responses,
            clock=self.clock,
        )
        mappings = Mappings(
            self.functions,
            name_prefix=prefix,
            region=REGION,
            account_id=ACCOUNT_ID,
            clock=self.clock,
        )
        self._later = LaterSource()
        self.faults = Switchboard(self.clock, self._later, self._outside())
        schedules = event_bus.schedules(
            self.functions, self.clock, account=ACCOUNT_ID, region=REGION
        )
        sources = [*mappings.sources(), *schedules, self._later]
        self.pump = Pump(self.functions, sources, self.clock)
        self.mailbox = Mailbox(REGION, ACCOUNT_ID)

    def _prepare_environment(self) -> None:
        endpoint = os.environ.pop("AWS_ENDPOINT_URL", None)
        if endpoint is not None:
            sys.stderr.write(f"AWS_ENDPOINT_URL={endpoint} is not used by the local stack\n")
        os.environ.update(
            AWS_DEFAULT_REGION=REGION,
            AWS_REGION=REGION,
            # moto answers at the plain host names only.
            AWS_ACCOUNT_ID_ENDPOINT_MODE="disabled",
            # Functions have no zip here.
            VALIDATE_LAMBDA_S3="false",
            STAGE=self.stage,
        )
        os.environ.pop("AWS_PROFILE", None)
        # Lines for CloudWatch, which nobody reads here.
        os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")

    def _use_credentials(self) -> None:
        # moto answers anybody; these make sure that nobody is ever asked for real.
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
            os.environ[f"AWS_{name}"] = "local"
        boto3.setup_default_session()

    def _role_arn(self) -> str:
        trust = {"Version": "2012-10-17", "Statement": []}
        role: str = boto3.client("iam").create_role(
            RoleName=f"{self._project}-{self.stage}-functions",
            AssumeRolePolicyDocument=json.dumps(trust),
        )["Role"]["Arn"]
        return role

    def _call_function(self, arn: str, event: dict[str, Any]) -> None:
        self.functions.run_later(arn.rsplit(":", 1)[-1], json.dumps(event))

    def _bring_event(self, arn: str, event: dict[str, Any]) -> None:
        event_bus.bring_event(self.functions, arn, event, region=REGION)

    def _restore(self) -> None:
        lambda_functions.use(None)
        sns.call_function = None
        events.bring = None
        self._mock.stop()
        use(None)
        set_clock(None)
        boundaries.use(None)
        boto3.setup_default_session()
        os.environ.clear()
        os.environ.update(self._environment)
