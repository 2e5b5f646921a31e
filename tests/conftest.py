"""What holds for every test: the descriptions of AWS's services are read once per process."""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import JSONFileLoader

_read = JSONFileLoader.load_file


@functools.cache
def _read_once(path: str) -> Any:
    return _read(JSONFileLoader(), path)


# Each boto3 session reads them anew, which takes a tenth of a second; most tests have their own.
JSONFileLoader.load_file = lambda _self, path: _read_once(path)
