"""events/released.json: what was published once goes on as it was."""

from __future__ import annotations

import copy

import pytest

from infra.event_compatibility import current, incompatibilities, read_release

VERSION, RELEASED = read_release()
CHANGED = "product.changed.v1"


def altered(alter):
    """Write today's schemas with one of them altered."""
    now = copy.deepcopy(current())
    alter(now[CHANGED])
    return now


def test_what_the_last_release_published_is_published_as_it_was():
    assert incompatibilities(RELEASED, current()) == [], f"compared with release {VERSION}"


def test_a_new_event_may_come():
    released = {event_type: RELEASED[event_type] for event_type in list(RELEASED)[1:]}

    assert incompatibilities(released, current()) == []


def test_other_words_are_no_other_shape():
    def alter(schema):
        schema["description"] = schema["title"] = "Said better."
        schema["$defs"]["Variant"] = schema["$defs"].pop("OfferedVariant")
        schema["properties"]["variants"]["items"]["$ref"] = "#/$defs/Variant"

    assert incompatibilities(RELEASED, altered(alter)) == []


def test_an_event_that_is_gone_is_missed_and_the_time_it_must_be_kept_is_told():
    now = current()
    del now[CHANGED]

    (line,) = incompatibilities(RELEASED, now)

    assert line.startswith("product.changed.v1 was published and is gone: ")
    assert "14 days" in line


def taken_away(schema):
    del schema["properties"]["handle"]
    schema["required"].remove("handle")


def added(schema):
    schema["properties"]["brand"] = {"type": "string"}
    schema["required"].append("brand")


def of_another_type(schema):
    schema["properties"]["version"]["type"] = "string"


def absent_at_times(schema):
    schema["required"].remove("product_id")


def changed_deep_inside(schema):
    del schema["$defs"]["OfferedVariant"]["properties"]["weight_grams"]


def with_another_bound(schema):
    schema["$defs"]["OfferedVariant"]["properties"]["amount_minor"]["minimum"] = 1


def open_to_more(schema):
    schema["additionalProperties"] = True


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (taken_away, "`handle` was taken away"),
        (added, "`brand` is new"),
        (of_another_type, 'type of `version` was "integer" and is "string"'),
        (absent_at_times, "`product_id` may be absent now"),
        (changed_deep_inside, "`weight_grams` of `variants` was taken away"),
        (with_another_bound, "minimum of `amount_minor` of `variants` was 0 and is 1"),
        (open_to_more, "additionalProperties of it was false and is true"),
    ],
)
def test_a_change_of_shape_is_named_with_what_to_do(alter, told):
    (line,) = incompatibilities(RELEASED, altered(alter))

    assert line.startswith(f"product.changed.v1: {told}")
    assert "0015" in line
    assert line.endswith("publish the next version beside it")
