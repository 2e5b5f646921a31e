"""docs/webhooks.md promises what the code does."""

from __future__ import annotations

import re

from infra.local.function_settings import FunctionSettings
from notifications import post
from notifications.deliveries import RETRY_AFTER
from notifications.dynamodb_webhooks import DELIVERY_KEPT
from notifications.endpoints import DEAD_AFTER, SECRET_OVERLAP
from notifications.use_cases.webhooks import ROUND, TEST_TYPE
from tests.contract.documents import rows, text_of
from tests.contract.project import LAYOUT, app_of
from tradepost.contracts.published import published

UNITS = {"min": 60, "h": 3_600}


def test_the_retry_table_is_the_schedule():
    (waits,) = (row for row in rows(text_of("webhooks.md")) if row[0] == "after the one before")

    told = [int(number) * UNITS[unit] for number, unit in (wait.split() for wait in waits[1:])]
    assert told == [wait.total_seconds() for wait in RETRY_AFTER]


def test_the_spans_and_types_it_names_are_the_codes():
    text = text_of("webhooks.md")

    assert (
        f"within {post._SILENCE_SECONDS} seconds, all of it within {post.ATTEMPT_SECONDS}" in text
    )
    assert (DEAD_AFTER.days, SECRET_OVERLAP.days, DELIVERY_KEPT.days) == (3, 1, 30)
    named = set(re.findall(r"[a-z]+\.[a-z_]+\.v\d", text))
    assert named <= {event.TYPE for event in published()} | {TEST_TYPE}


def test_a_round_of_sending_ends_within_its_functions_time():
    settings = FunctionSettings(LAYOUT.root / "chalice-config", "notifications", "dev")
    for function in ("on_event", "send_due_webhooks"):
        left = settings.timeout_seconds(function) - ROUND.total_seconds()
        assert left >= post.ATTEMPT_SECONDS
    assert {"on_event", "send_due_webhooks"} <= app_of("notifications").handler_map.keys()


def test_no_stage_that_is_deployed_may_call_this_machine():
    assert LAYOUT.stages()
    assert "local" not in LAYOUT.stages()
