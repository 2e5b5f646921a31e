"""
Which library keeps the catalogue's answers best: hits, time per request, start, size.

    .venv/bin/python tests/bench/caches.py [2010-12.csv.gz] [--picture docs/pictures/caches.svg]

Compares the libraries that can be imported, of cachetools, cachebox and theine (`pip install` the
others into an environment of your own, and name its site-packages in PYTHONPATH). The traces are
the lines of an order history in the Online Retail format, one product a request; requests drawn by
Zipf's law; and those with somebody in between who reads the whole catalogue, product by product.
The best that any rule could reach, knowing the future, stands beside them. Draws are seeded: the
ratios are the same each time, the times are this machine's.
"""

from __future__ import annotations

import heapq
import importlib
import importlib.metadata
import importlib.util
import io
import itertools
import os
import py_compile
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from infra.cli.replay.reading import read_history
from tradepost.platform.cache import Cache, CacheSettings, Policy

Trace = Sequence[Hashable]
# Tells whether the key was there, and keeps it if it was not.
Request = Callable[[Hashable], bool]

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
_PRODUCTS = 10_000
_REQUESTS = 200_000
_SEED = 1
_TIMED_SHARE = 0.1
_STARTS = 9
_OUT = Console()


@dataclass(frozen=True)
class Candidate:
    """One rule of one library; `make` gives a cache of so many entries."""

    library: str
    rule: str
    make: Callable[[int], Request]

    @property
    def name(self) -> str:
        return f"{self.library} {self.rule}"


def main(
    history: Annotated[Path | None, typer.Argument(help="Orders to take requests from.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where to draw the hit ratios.")] = None,
) -> None:
    """Compare the libraries."""
    traces = dict(_traces(history))
    candidates = list(_candidates())
    ratios = {
        name: {
            **{each.name: _curve(each.make, trace) for each in candidates},
            "best possible": _curve(None, trace),
        }
        for name, trace in traces.items()
    }
    for name, curves in ratios.items():
        _print_table(
            f"Hits in 100 requests: {name}",
            ["kept, of the products", *(f"{share:.0%}" for share in SHARES)],
            [[rule, *(f"{100 * ratio:.1f}" for ratio in curve)] for rule, curve in curves.items()],
        )
    _print_table(
        "What it costs",
        ["", "µs a hit", "µs a miss that evicts"],
        [[each.name, *_microseconds(each.make)] for each in candidates],
    )
    libraries = list(dict.fromkeys(each.library for each in candidates))
    _print_table(
        "What it brings",
        [
            "",
            "version",
            "CPU ms to import",
            "threads it starts",
            "KiB in a layer",
            "KiB of its zip",
        ],
        [[library, *_weight(library)] for library in libraries],
    )
    _print_instances()
    if picture is not None:
        picture.write_text(_drawn(ratios))


def _traces(history: Path | None) -> Iterator[tuple[str, Trace]]:
    if history is not None:
        rows = [row for row in read_history(history).rows if row.quantity > 0]
        rows.sort(key=lambda row: (row.placed_at, row.line))
        yield f"orders of {history.name.partition('.')[0]}", [row.code for row in rows]
    for exponent in (0.7, 0.9, 1.1):
        yield f"Zipf {exponent}", _zipf(exponent)
    yield "Zipf 0.9 with a crawler", list(_crawled(_zipf(0.9)))


def _zipf(exponent: float) -> list[int]:
    weights = itertools.accumulate(1 / (rank + 1) ** exponent for rank in range(_PRODUCTS))
    return random.Random(_SEED).choices(range(_PRODUCTS), cum_weights=list(weights), k=_REQUESTS)


def _crawled(trace: list[int]) -> Iterator[int]:
    """Let one request in five be of somebody who reads all products in turn."""
    pages = itertools.cycle(range(_PRODUCTS))
    for position, product in enumerate(trace):
        yield product
        if position % 4 == 0:
            yield next(pages)


def _candidates() -> Iterator[Candidate]:
    for library in ("cachetools", "cachebox"):
        if _is_here(library):
            module = importlib.import_module(library)
            for rule, kind in (("LRU", module.LRUCache), ("LFU", module.LFUCache)):
                yield Candidate(library, rule, lambda size, kind=kind: _like_a_dict(kind(size)))
    if _is_here("theine"):
        theine = importlib.import_module("theine")
        yield Candidate("theine", "W-TinyLFU", lambda size: _theine(theine.Cache(size)))


def _is_here(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def _like_a_dict(cache: Any) -> Request:
    def request(key: Hashable) -> bool:
        if cache.get(key) is not None:
            return True
        cache[key] = True
        return False

    return request


def _theine(cache: Any) -> Request:
    def request(key: Hashable) -> bool:
        if cache.get(key)[1]:
            return True
        cache.set(key, True)
        return False

    return request


def _curve(make: Callable[[int], Request] | None, trace: Trace) -> list[float]:
    products = len(set(trace))
    sizes = [max(1, int(products * share)) for share in SHARES]
    if make is None:
        return [_best(trace, size) for size in sizes]
    return [sum(map(make(size), trace)) / len(trace) for size in sizes]


def _best(trace: Trace, size: int) -> float:
    """Keep what is asked for again soonest (Belady): nothing that does not know the future can."""
    never = len(trace)
    next_use, seen = [never] * len(trace), dict[Hashable, int]()
    for position in range(len(trace) - 1, -1, -1):
        next_use[position] = seen.get(trace[position], never)
        seen[trace[position]] = position
    kept: dict[Hashable, int] = {}
    latest: list[tuple[int, int]] = []
    hits = 0
    for position, key in enumerate(trace):
        hits += key in kept
        kept[key] = next_use[position]
        heapq.heappush(latest, (-next_use[position], position))
        while len(kept) > size:
            use, at = heapq.heappop(latest)
            if kept.get(trace[at]) == -use:
                del kept[trace[at]]
    return hits / len(trace)


def _microseconds(make: Callable[[int], Request]) -> list[str]:
    size = int(_PRODUCTS * _TIMED_SHARE)
    hit, full = make(size), make(size)
    hot, cold = range(size // 2), range(_REQUESTS)
    for key in hot:
        hit(key)
    return [f"{_time_each(hit, list(hot) * 200):.2f}", f"{_time_each(full, cold):.2f}"]


def _time_each(request: Request, keys: Sequence[Hashable]) -> float:
    # Of this process alone: what else the machine does does not count.
    began = time.process_time()
    for key in keys:
        request(key)
    return (time.process_time() - began) / len(keys) * 1_000_000


def _weight(library: str) -> list[str]:
    timed = (
        "import time,threading;t=time.perf_counter();import {0};e=time.perf_counter()-t;print(e)"
    )
    counted = "import threading,{0};print(threading.active_count()-1)"
    # The least disturbed of several.
    seconds = min(float(_said(timed.format(library))) for _ in range(_STARTS))
    size, zipped = _layered(library)
    return [
        importlib.metadata.version(library),
        f"{seconds * 1_000:.1f}",
        _said(counted.format(library)),
        f"{size / 1024:,.0f}",
        f"{zipped / 1024:,.0f}",
    ]


def _said(program: str) -> str:
    # A process of its own, which has imported nothing yet.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return done.stdout.decode().strip()


def _layered(library: str) -> tuple[int, int]:
    """Add up what a layer would hold: sources, their bytecode, binaries, and what it depends on."""
    buffer = io.BytesIO()
    total = 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for project in sorted(_with_dependencies(library)):
            for file in importlib.metadata.files(project) or ():
                if ".." in file.parts or file.suffix == ".pyc":
                    continue
                content = Path(str(file.locate())).read_bytes()
                both = {str(file): content}
                if file.suffix == ".py":
                    both[f"{file}c"] = _bytecode(content)
                for name, data in both.items():
                    archive.writestr(name, data)
                    total += len(data)
    return total, len(buffer.getvalue())


def _with_dependencies(library: str) -> set[str]:
    found, waiting = set[str](), [library]
    while waiting:
        project = waiting.pop()
        if project not in found:
            found.add(project)
            wanted = [Requirement(text) for text in importlib.metadata.requires(project) or ()]
            waiting += [one.name for one in wanted if one.marker is None or one.marker.evaluate()]
    return found


def _bytecode(source: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.py"
        path.write_bytes(source)
        return Path(py_compile.compile(str(path), doraise=True) or "").read_bytes()


def _print_instances() -> None:
    """Show our own cache at work: an instance only knows what it was itself asked for."""
    rates = (1, 10, 100, 1_000)
    rows = []
    for policy in Policy:
        settings = CacheSettings(policy, 1_000, 10**9, fresh_seconds=30, absent_seconds=5)
        rows.append([policy.upper(), *(f"{_hits_at(rate, settings):.1f}" for rate in rates)])
    _print_table(
        f"Hits in 100 requests to one instance: Zipf 0.9, {_PRODUCTS:,} products, 1,000 kept, 30 s",
        ["requests a second", *(f"{rate:,}" for rate in rates)],
        rows,
    )


def _hits_at(rate: int, settings: CacheSettings) -> float:
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    os.environ.setdefault("STAGE", "bench")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    cache: Cache[str] = Cache("bench", settings, bytes_of=len, now=lambda: moment)
    trace = _zipf(0.9)[: max(2_000, min(_REQUESTS, rate * 600))]
    for key in trace:
        cache.get(str(key), lambda: "")
        moment += timedelta(seconds=1 / rate)
    return 100 * cache.counts().hits / len(trace)


def _print_table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    table = Table(*heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    _OUT.print(table)


# Drawing: one panel a trace, one line a rule, named where it ends.

_PANEL, _HEIGHT, _LEFT, _TOP, _GAP, _ROW, _COLUMNS = 230, 170, 44, 52, 40, 232, 3
_LINES = {
    "LRU": ("#0072b2", ""),
    "LFU": ("#d55e00", ""),
    "W-TinyLFU": ("#009e73", "7 2"),
    "best possible": ("#767676", "2 3"),
}


def _drawn(ratios: dict[str, dict[str, list[float]]]) -> str:
    """Draw by rule: two libraries with one rule have one line, which they share to the pixel."""
    rows = -(-len(ratios) // _COLUMNS)
    width = _LEFT + _COLUMNS * (_PANEL + _GAP)
    height = _TOP + rows * _ROW + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18" font-size="14" font-weight="bold">'
        "Hits in 100 requests, by how many of the products are kept</text>",
    ]
    for number, (name, curves) in enumerate(ratios.items()):
        row, column = divmod(number, _COLUMNS)
        parts += _panel(_LEFT + column * (_PANEL + _GAP), _TOP + row * _ROW, name, curves)
    for number, (rule, (colour, dashes)) in enumerate(_LINES.items()):
        x, y = _LEFT + number * 130, height - 12
        parts.append(
            f'<path d="M{x} {y - 4}h24" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/><text x="{x + 30}" y="{y}">{rule}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: int, top: int, name: str, curves: dict[str, list[float]]) -> Iterator[str]:
    bottom, step = top + _HEIGHT, _PANEL / (len(SHARES) - 1)
    yield f'<text x="{left}" y="{top - 10}" font-weight="bold">{name}</text>'
    for hundredth in range(0, 101, 25):
        y = bottom - _HEIGHT * hundredth / 100
        yield f'<path d="M{left} {y:.1f}h{_PANEL}" stroke="#ddd"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{hundredth}</text>'
    for position, share in enumerate(SHARES):
        x = left + position * step
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{share:.0%}</text>'
    by_rule = {
        (each if each in _LINES else each.partition(" ")[2]): curve
        for each, curve in curves.items()
    }
    for rule, curve in by_rule.items():
        colour, dashes = _LINES[rule]
        points = " ".join(
            f"{left + position * step:.1f},{bottom - _HEIGHT * ratio:.1f}"
            for position, ratio in enumerate(curve)
        )
        yield (
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/>'
        )


if __name__ == "__main__":
    typer.run(main)
