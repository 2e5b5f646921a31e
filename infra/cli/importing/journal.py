"""What of a file a shop has taken: a file beside it, so that a broken-off import goes on.

One line of JSON per batch, in the order of the file. It is named by a digest of what is imported
and where to: another content, shop or currency has another journal.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.cli.importing.drafts import BadRow

_DIGEST_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch the shop has answered: its products stand from `start` to before `end` in the file.

    Counted are the products that could be read, from 0 on. `bad` are those the shop refused.
    """

    start: int
    end: int
    products: Counter[str]  # by outcome
    counts: Counter[str]  # SKUs, by outcome
    bad: tuple[BadRow, ...]


class Journal:
    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def beside(cls, file: Path, *, url: str, currency: str) -> Journal:
        """Name the journal of importing this content into that shop."""
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256")
        digest.update(f"\n{url}\n{currency}".encode())
        return cls(file.with_name(f"{file.name}.{digest.hexdigest()[:_DIGEST_LENGTH]}.journal"))

    def taken(self) -> Iterator[Taken]:
        """Tell what was taken before, from the file's beginning on and without a gap."""
        known = {each.start: each for each in self._read()}
        at = 0
        while at in known and known[at].end > at:
            yield known[at]
            at = known[at].end

    def add(self, taken: Taken) -> None:
        """Write down that the shop has answered a batch. Raises OSError."""
        line = {
            "start": taken.start,
            "end": taken.end,
            "products": taken.products,
            "counts": taken.counts,
            "bad": [[bad.line, bad.handle, bad.reason] for bad in taken.bad],
        }
        with self.path.open("a", encoding="utf-8") as file:
            # On a line of its own, whatever a crash left of the one before.
            file.write("\n" + json.dumps(line))

    def forget(self) -> None:
        """The file is done, or is to be done anew."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> Iterator[Taken]:
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                read = json.loads(line)
                yield Taken(
                    start=int(read["start"]),
                    end=int(read["end"]),
                    products=Counter(read["products"]),
                    counts=Counter(read["counts"]),
                    bad=tuple(BadRow(*bad) for bad in read["bad"]),
                )
            except (ValueError, KeyError, TypeError):
                # Cut off by a crash: the shop is asked again, which does no harm.
                continue
