"""Consumers: an SQS batch taken message by message, the failed ones left in the queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from pydantic import BaseModel, ConfigDict, ValidationError

from tradepost.kernel.errors import DomainError, UnavailableError
from tradepost.platform.logger import log_keys, logger


class Fact(BaseModel):
    """What a consumer reads of an event: its own fields and no others.

    A consumer declares only what it uses (a tolerant reader), so a publisher may add fields.
    """

    # What cannot be read is logged by its place, never by its content.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    type: str
    event_id: str
    correlation_id: str
    version: int  # of the aggregate: newer facts have higher ones


# Each takes the raw message, parses its own `Fact`, and is safe to repeat.
Reaction = Callable[[str], None]


class _Envelope(Fact):
    pass


def consume(
    sqs_event: dict[str, Any], context: Any, *, reactions: Mapping[str, Reaction]
) -> dict[str, Any]:
    """Hand each message of the batch to the reaction for its type.

    A message that raises stays in the queue and comes again; after the queue's limit it goes to
    the dead-letter queue, and each attempt's line in the log says why. Returns the partial batch
    response that says which those are. A type that nobody reacts to is a subscription gone wrong,
    and is treated as a failure.
    """

    def react(record: Any) -> None:
        with log_keys(message_id=record.message_id):
            try:
                envelope = _Envelope.model_validate_json(record.body)
            except ValidationError:
                logger.exception("message unreadable")
                raise
            with log_keys(
                correlation_id=envelope.correlation_id,
                event_id=envelope.event_id,
                event_type=envelope.type,
            ):
                _hand_over(reactions, envelope.type, record.body)

    return dict(
        process_partial_response(
            event=sqs_event,
            record_handler=react,
            processor=BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False),
            context=context,
        )
    )


def _hand_over(reactions: Mapping[str, Reaction], event_type: str, message: str) -> None:
    """Hand the message over, and say in the log what it raises: Powertools keeps that to itself."""
    try:
        reactions[event_type](message)
    except DomainError as refusal:
        logger.warning("message refused", code=refusal.code)
        raise
    except UnavailableError as error:
        logger.warning("message delayed", code=error.code)
        raise
    except Exception:
        logger.exception("message failed")
        raise
