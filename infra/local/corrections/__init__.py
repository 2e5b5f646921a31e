"""What moto does otherwise than AWS, corrected: one module per cause.

Each is to be deleted when moto mends it. They change moto for the whole process and cannot be
taken back, so they are installed once.
"""

from __future__ import annotations

import functools

from infra.local.corrections import (
    cloudformation,
    direct_calls,
    dynamodb_expressions,
    dynamodb_items,
    dynamodb_lock,
    dynamodb_queries,
    dynamodb_serialisation,
    dynamodb_streams,
    dynamodb_transactions,
    events,
    instance_tracking,
    lambda_functions,
    ses,
    sns,
    sqs,
    stepfunctions,
    stepfunctions_engine,
    time,
)


@functools.cache
def install() -> None:
    """Correct moto, once per process."""
    for correction in (
        instance_tracking,
        dynamodb_lock,
        dynamodb_items,
        dynamodb_queries,
        dynamodb_transactions,
        dynamodb_streams,
        dynamodb_expressions,
        dynamodb_serialisation,
        sqs,
        sns,
        events,
        stepfunctions,
        stepfunctions_engine,
        time,
        lambda_functions,
        ses,
        cloudformation,
        direct_calls,
    ):
        correction.install()
