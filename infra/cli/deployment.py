"""Where a stage's AWS is: in a shop on this machine, which tells, or in the account at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import boto3
import httpx

# A shop in the middle of a sale answers late.
_TIMEOUT_SECONDS = 30.0

ClientOf = Callable[[str], Any]


class NoDeploymentError(Exception):
    """It is not known which stage is meant, or where. The message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stage; `client` makes a client of one of AWS's services there."""

    stage: str
    client: ClientOf


def deployment_of(url: str, stage: str | None) -> Deployment:
    """Find the stage: one that is named is in AWS, otherwise the local shop at `url` is meant.

    A name is never guessed, so that nobody acts on a stage they did not mean.

    Raises
    ------
    NoDeploymentError
        No stage was named, and no local shop answers.
    """
    if stage is not None:
        return Deployment(stage, lambda service: boto3.client(cast(Any, service)))
    try:
        local = httpx.get(f"{url.rstrip('/')}/_local", timeout=_TIMEOUT_SECONDS).json()
        return local_deployment(local)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise NoDeploymentError(
            f"no local shop answers at {url}; for a stage in AWS name it: --stage dev"
        ) from error


def local_deployment(told: dict[str, Any]) -> Deployment:
    """Read what a local shop tells of itself under `/_local`."""
    endpoint, region = str(told["aws_endpoint"]), str(told["region"])

    def client(service: str) -> Any:
        return boto3.client(
            cast(Any, service),
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - the local stack accepts any
        )

    return Deployment(str(told["stage"]), client)
