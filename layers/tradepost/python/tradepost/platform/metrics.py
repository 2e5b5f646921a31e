"""Metrics: lines in the log that CloudWatch reads as numbers (EMF), written by Powertools."""

from __future__ import annotations

import os
from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

_NAMESPACE = "Tradepost"


def tell(*, cache: str, counts: Mapping[str, int], sizes: Mapping[str, int]) -> None:
    """Write one line, by stage and cache; `sizes` are in bytes.

    `POWERTOOLS_METRICS_DISABLED` keeps it unwritten.
    """
    # Each line has its own: what Powertools shares between instances is not safe for threads.
    line = EphemeralMetrics(namespace=_NAMESPACE, service="tradepost")
    line.add_dimension(name="stage", value=os.environ["STAGE"])
    line.add_dimension(name="cache", value=cache)
    for name, count in counts.items():
        line.add_metric(name=f"cache_{name}", unit=MetricUnit.Count, value=count)
    for name, size in sizes.items():
        line.add_metric(name=f"cache_{name}", unit=MetricUnit.Bytes, value=size)
    line.flush_metrics()
