"""Which event source feeds which function: read from the Chalice apps and their merge templates."""

from __future__ import annotations

from typing import Any

from chalice.app import (
    CloudWatchEventConfig,
    DynamoDBEventConfig,
    ScheduledEventConfig,
    ScheduleExpression,
    SNSEventConfig,
    SQSEventConfig,
)
from moto.dynamodb.models import dynamodb_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from infra.local.clock import Clock
from infra.local.event_sources import QueueSource, Source, StreamSource
from infra.local.functions import Functions
from infra.local.schedules import ExpirySource, ScheduledFunction, ScheduleSource


class UnknownSourceError(Exception):
    """An app listens to a queue, a stream or a topic that no template creates."""


class Mappings:
    """Makes the sources of all apps.

    A queue's or a topic's short name is the part behind `<project>-<stage>-`; a stream's
    placeholder ARN names the table the same way.
    """

    def __init__(
        self,
        functions: Functions,
        *,
        name_prefix: str,
        region: str,
        account_id: str,
        clock: Clock,
    ) -> None:
        self._functions = functions
        self._name_prefix = name_prefix
        self._region = region
        self._clock = clock
        self._tables = dynamodb_backends[account_id][region].tables
        self._queues = sqs_backends[account_id][region].queues
        self._topics = sns_backends[account_id][region]

    def sources(self) -> list[Source]:
        """Return a source per declared event source, and one per table with expiry.

        Raises
        ------
        UnknownSourceError
            A declaration that names nothing deployed, or is of a kind not supported locally.
        """
        sources: list[Source] = []
        for name, app in self._functions.apps.items():
            for declared in app.event_sources:
                source = self._source(name, declared)
                if source is not None:
                    sources.append(source)
        for table in self._tables.values():
            if table.ttl.get("TimeToLiveStatus") == "ENABLED":
                sources.append(ExpirySource(table, self._clock))
        return sources

    def _source(self, app: str, declared: Any) -> Source | None:
        function = self._functions.deployed_name(app, declared.name)
        match declared:
            case SQSEventConfig():
                return self._queue_source(app, function, declared)
            case DynamoDBEventConfig():
                return self._stream_source(app, function, declared)
            case ScheduledEventConfig():
                expression = declared.schedule_expression
                if isinstance(expression, ScheduleExpression):
                    expression = expression.to_string()
                scheduled = ScheduledFunction(self._functions, function, self._region)
                return ScheduleSource(scheduled, expression, self._clock)
            case SNSEventConfig():
                self._subscribe(app, function, declared)
                return None
            case CloudWatchEventConfig():
                # Nothing but schedules puts events on a bus here.
                return None
        raise UnknownSourceError(f"{app}: {declared.name} is a {type(declared).__name__}")

    def _queue_source(self, app: str, function: str, declared: Any) -> Source:
        short = declared.queue or declared.queue_arn.rsplit(":", 1)[-1]
        queue = self._found(self._queues, short, app, declared)
        properties = self._functions.settings[app].event_source(declared.name, "sqs")
        size = int(properties.get("BatchSize", declared.batch_size))
        return QueueSource(self._functions, function, queue, size, properties)

    def _stream_source(self, app: str, function: str, declared: Any) -> Source:
        short = declared.stream_arn.split("/")[1]
        table = self._found(self._tables, short, app, declared)
        if table.stream_shard is None:
            raise UnknownSourceError(f"{app}: {declared.name}: {table.name} has no stream")
        properties = self._functions.settings[app].event_source(declared.name, "dynamodb")
        return StreamSource(
            self._functions,
            function,
            table,
            int(properties.get("BatchSize", declared.batch_size)),
            properties,
            self._clock,
            from_latest=declared.starting_position == "LATEST",
        )

    def _subscribe(self, app: str, function: str, declared: Any) -> None:
        topics = {arn.rsplit(":", 1)[-1]: arn for arn in self._topics.topics}
        arn = self._found(topics, declared.topic.rsplit(":", 1)[-1], app, declared)
        self._topics.subscribe(arn, self._functions.by_name[function].arn, "lambda")

    def _found(self, deployed: Any, short: str, app: str, declared: Any) -> Any:
        for name in (f"{self._name_prefix}-{short}", short):
            if name in deployed:
                return deployed[name]
        raise UnknownSourceError(
            f"{app}: {declared.name} listens to {short}, which is not deployed"
        )
