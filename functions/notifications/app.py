"""Notifications reacts to events; it answers nobody."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice.app import SQSEvent

from notifications import use_cases
from notifications.contacts import AskedContacts
from notifications.dynamodb import DynamoDBMessages
from notifications.mailer import SESMailer
from notifications.messages import News
from notifications.words import TYPES
from tradepost.platform import aws
from tradepost.platform.consumer import consume
from tradepost.platform.questions import Questions
from tradepost.platform.service import Service

app = Service("notifications")


@functools.cache
def messages() -> DynamoDBMessages:
    return DynamoDBMessages(aws.dynamodb(), os.environ["NOTIFICATIONS_TABLE"])


@functools.cache
def contacts() -> AskedContacts:
    return AskedContacts(Questions(aws.functions(), os.environ["STAGE"]))


@functools.cache
def mailer() -> SESMailer:
    return SESMailer(aws.ses(), os.environ["MAIL_SENDER"])


@app.on_sqs_message(queue="notifications-facts", name="on_fact", batch_size=10)
def on_fact(event: SQSEvent) -> dict[str, Any]:
    """Write to the customer about each fact that concerns them."""
    return consume(event.to_dict(), event.context, reactions=dict.fromkeys(TYPES, _tell_customer))


def _tell_customer(message: str) -> None:
    news = News.model_validate_json(message)
    use_cases.tell_customer(
        news.happening(),
        messages=messages(),
        contacts=contacts(),
        mailer=mailer(),
    )
