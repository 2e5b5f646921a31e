"""How fast a replay went: rates per order and per line, at its beginning and its end."""

from __future__ import annotations

import pytest

from infra.cli.replay.catalogue import implied_shop
from infra.cli.replay.playing import Played
from infra.cli.replay.reading import parse_history
from infra.cli.replay.timing import percentile_ms, timing_of
from tests.unit.cli.replay import histories


def played(seconds_each: list[float]) -> list[Played]:
    rows = [histories.row(str(number)) for number in range(len(seconds_each))]
    invoices = implied_shop(parse_history(histories.text(*rows), "a.csv")).invoices
    done, clock = [], 100.0
    for invoice, seconds in zip(invoices, seconds_each, strict=True):
        done.append(Played(invoice, "ord", None, clock, clock + seconds))
        clock += seconds
    return done


def test_a_shop_that_slows_down_shows_in_the_last_tenth():
    timing = timing_of(played([0.5] * 10 + [1.0] * 80 + [2.0] * 10))

    assert timing.first_tenth.orders_per_second == 2.0
    assert timing.whole.orders_per_second == pytest.approx(100 / 105, abs=0.001)
    assert timing.last_tenth.lines_per_second == 0.5


def test_fewer_than_ten_orders_have_no_tenths():
    timing = timing_of(played([1.0] * 9))

    assert (timing.whole.orders, timing.first_tenth.orders) == (9, 0)
    assert timing.last_tenth.orders_per_second == 0.0


def test_orders_of_an_earlier_replay_are_not_timed():
    (done,) = played([1.0])

    assert timing_of([Played(done.invoice, "ord", None)]).whole.orders == 0


@pytest.mark.parametrize(("percent", "expected"), [(50, 50.0), (95, 95.0), (99, 99.0)])
def test_a_percentile_is_a_duration_that_was_measured(percent, expected):
    assert percentile_ms([n / 1000 for n in range(1, 101)], percent) == expected
