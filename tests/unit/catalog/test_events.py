"""The samples that consumers are tested with are facts the catalogue could state."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradepost.contracts.catalog import (
    ProductChangedV1,
    ProductChangedV2,
    ProductPublishedV1,
    ProductPublishedV2,
    ProductWithdrawnV1,
)

SAMPLES = Path(__file__).parents[3] / "events" / "samples"


@pytest.mark.parametrize(
    "event",
    [
        ProductPublishedV1,
        ProductPublishedV2,
        ProductChangedV1,
        ProductChangedV2,
        ProductWithdrawnV1,
    ],
    ids=lambda event: event.TYPE,
)
def test_the_sample_is_what_the_catalogue_publishes(event):
    sample = (SAMPLES / f"{event.TYPE}.json").read_text()

    fact = event.model_validate_json(sample)

    assert event.model_validate_json(fact.model_dump_json()) == fact
