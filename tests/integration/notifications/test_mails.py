"""A mail for each fact, once, whatever happens to the one who sends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from notifications import use_cases
from notifications.dynamodb import DynamoDBMessages
from notifications.letters import Mail
from notifications.messages import News
from notifications.model import Contact, MessageInHandError, Ordered
from notifications.ports import Contacts, Mailer, MessageLog
from notifications.words import TYPES
from tests.contract.project import ROOT
from tests.fakes.notifications import InMemoryMessages, KnownContacts, Postbag
from tests.integration.tables import tables
from tradepost.kernel.clock import set_clock
from tradepost.kernel.errors import UnavailableError
from tradepost.kernel.money import Money

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)
ORDER = Ordered(
    "CONFIRMED",
    1,
    Money(1250, "GBP"),
    *[Money(0, "GBP")] * 3,
    prices_include_tax=True,
)
GRACE = Contact("grace@example.com", "Grace", ORDER)


@pytest.fixture
def in_table() -> Iterator[DynamoDBMessages]:
    with tables("notifications") as client:
        yield DynamoDBMessages(client, "notifications")
    set_clock(None)


@pytest.fixture(params=["dynamodb", "in_memory"])
def messages(request: pytest.FixtureRequest) -> MessageLog:
    if request.param == "in_memory":
        return InMemoryMessages()
    table: DynamoDBMessages = request.getfixturevalue("in_table")
    return table


def sample(event_type: str) -> str:
    return (ROOT / "events" / "samples" / f"{event_type}.json").read_text()


def told(
    message: str, messages: MessageLog, mailer: Mailer, contacts: Contacts | None = None
) -> None:
    use_cases.tell_customer(
        News.model_validate_json(message).happening(),
        messages=messages,
        contacts=contacts or KnownContacts(GRACE),
        mailer=mailer,
    )


class FailingPost:
    """A mailer that does not answer, having sent the mail or not."""

    def __init__(self, behind: Postbag | None = None) -> None:
        self.behind = behind

    def send(self, to: str, mail: Mail) -> None:
        if self.behind is not None:
            self.behind.send(to, mail)
        raise UnavailableError("no answer")


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_a_fact_is_mailed_once_however_often_it_comes(
    messages: MessageLog, event_type: str
) -> None:
    post = Postbag()

    for _ in range(3):
        told(sample(event_type), messages, post)

    ((to, mail),) = post.sent
    assert to == "grace@example.com"
    assert mail.subject
    assert mail.html.startswith("<!doctype html>")


def test_facts_in_any_order_are_each_mailed_once(in_table: DynamoDBMessages) -> None:
    facts = ["order.placed.v1", "order.confirmed.v1", "shipment.dispatched.v1"]
    for number, order in enumerate(permutations(facts)):
        post = Postbag()
        for event_type in (*order, *order):
            message = sample(event_type).replace('"evt_', f'"evt_{number}')
            told(message, in_table, post)

        assert len(post.sent) == len({mail.subject for _, mail in post.sent}) == 3, order


def test_deliveries_of_one_fact_at_once_send_one_mail(in_table: DynamoDBMessages) -> None:
    post = Postbag()

    def deliver(_: int) -> bool:
        try:
            told(sample("order.confirmed.v1"), in_table, post)
        except MessageInHandError:
            return False
        return True

    with ThreadPoolExecutor(16) as queue:
        assert any(queue.map(deliver, range(32)))

    assert len(post.sent) == 1


def test_a_mail_that_could_not_be_sent_is_sent_when_the_claim_has_lapsed(
    in_table: DynamoDBMessages,
) -> None:
    message, post = sample("order.confirmed.v1"), Postbag()
    set_clock(lambda: NOON)
    with pytest.raises(UnavailableError):
        told(message, in_table, FailingPost())

    with pytest.raises(MessageInHandError):
        told(message, in_table, post)
    set_clock(lambda: NOON + timedelta(minutes=3))
    told(message, in_table, post)

    assert len(post.sent) == 1


def test_a_crash_between_sending_and_settling_repeats_the_mail_once_and_never_loses_it(
    in_table: DynamoDBMessages,
) -> None:
    message, post = sample("order.confirmed.v1"), Postbag()
    set_clock(lambda: NOON)
    with pytest.raises(UnavailableError):
        told(message, in_table, FailingPost(behind=post))

    for minutes in (1, 3, 5, 7):
        set_clock(lambda: NOON + timedelta(minutes=minutes))  # noqa: B023
        try:
            told(message, in_table, post)
        except MessageInHandError:
            assert minutes == 1

    assert len(post.sent) == 2


def test_nobody_to_write_to_is_no_failure(messages: MessageLog) -> None:
    post = Postbag()

    for _ in range(2):
        told(sample("order.confirmed.v1"), messages, post, KnownContacts(None))

    assert post.sent == []


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_an_event_may_grow_without_troubling_its_mail(event_type: str) -> None:
    grown = sample(event_type).replace("{", '{"added_later": {"x": 1}, ', 1)

    assert News.model_validate_json(grown).happening().event_type == event_type


def test_what_a_claim_pays_is_named_in_its_mail() -> None:
    post = Postbag()

    told(sample("claim.accepted.v1"), InMemoryMessages(), post)

    ((_, mail),) = post.sent
    amount = json.loads(sample("claim.accepted.v1"))["amount_minor"]
    assert f"{amount // 100}.{amount % 100:02d} " in mail.text
