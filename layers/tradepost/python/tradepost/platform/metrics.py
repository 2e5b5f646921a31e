"""Metrics: lines in the log that CloudWatch reads as numbers (EMF), written by Powertools."""

from __future__ import annotations

import os
from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

_NAMESPACE = "Tradepost"


def tell(
    *, counts: Mapping[str, int], sizes: Mapping[str, int] | None = None, **dimensions: str
) -> None:
    """Write one line, by stage and the dimensions given; `sizes` are in bytes.

    `POWERTOOLS_METRICS_DISABLED` keeps it unwritten.
    """
    # Each line has its own: what Powertools shares between instances is not safe for threads.
    line = EphemeralMetrics(namespace=_NAMESPACE)
    for name, value in {"stage": os.environ["STAGE"], **dimensions}.items():
        line.add_dimension(name=name, value=value)
    for name, count in counts.items():
        line.add_metric(name=name, unit=MetricUnit.Count, value=count)
    for name, size in (sizes or {}).items():
        line.add_metric(name=name, unit=MetricUnit.Bytes, value=size)
    line.flush_metrics()
