"""The pictures of the demonstration shop, drawn when they are asked for."""

from __future__ import annotations

import functools
import zlib

from infra.demo.drawings import BRASS, COLOURS, DRAWINGS, INK, PAPER, STEEL, WOOD
from infra.demo.products import THINGS, Thing

CONTENT_TYPE = "image/svg+xml"

# Walls that let every colour stand out, with the floor that goes with each.
_WALLS = (
    ("#f3ece1", "#e4d8c6"),
    ("#e8eee8", "#d3ddd2"),
    ("#eaeef3", "#d5dde6"),
    ("#f6e9e4", "#ead5cc"),
    ("#f1eef5", "#dfd9e8"),
    ("#f5f0dc", "#e6ddbd"),
)
# The floor is drawn, and a shadow on it, under what stands; these hang.
_HANGING = frozenset(
    {"apron", "birdhouse", "botanical", "clock", "frame", "hanging", "harbour", "ivy",
     "mountain", "pendant", "shelf", "towel"}
)  # fmt: skip
_NATURAL = "Oat"


def picture(path: str) -> bytes | None:
    """Draw the picture of an address such as /demo/desk-lamp--ink.svg; None for no such thing.

    The same address always gives the same bytes.
    """
    name = path.rpartition("/")[2]
    if not name.endswith(".svg"):
        return None
    handle, _, colour = name.removesuffix(".svg").partition("--")
    thing = _things().get(handle)
    if thing is None or colour.capitalize() not in {"", *COLOURS}:
        return None
    return _draw(thing, COLOURS[colour.capitalize() or _natural(thing)]).encode()


@functools.cache
def _things() -> dict[str, Thing]:
    return {thing.handle: thing for thing in THINGS}


def _natural(thing: Thing) -> str:
    """Choose a colour for what comes in one only."""
    return {"can": "Sage", "candle": "Mustard", "pan": "Ink", "pen": "Mustard", "plant": "Clay",
            "ivy": "Oat", "pot": "Clay", "blanket": "Sage"}.get(thing.kind, _NATURAL)  # fmt: skip


def _draw(thing: Thing, colour: str) -> str:
    wall, floor = _WALLS[zlib.crc32(thing.handle.encode()) % len(_WALLS)]
    drawing = DRAWINGS[thing.kind].format(
        c=colour,
        d=_mixed(colour, "#1d2430", 0.28),
        l=_mixed(colour, "#ffffff", 0.38),
        w=WOOD,
        k=INK,
        p=PAPER,
        b=BRASS,
        s=STEEL,
    )
    ground = ""
    if thing.kind not in _HANGING:
        ground = (
            f'<path d="M0 560h800v240H0z" fill="{floor}"/>'
            f'<ellipse cx="400" cy="640" rx="250" ry="26" fill="{_mixed(floor, INK, 0.18)}"/>'
        )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 800" role="img">'
        f"<title>{thing.title}</title>"
        f'<path d="M0 0h800v800H0z" fill="{wall}"/>{ground}{drawing}</svg>'
    )


def _mixed(colour: str, other: str, share: float) -> str:
    """Mix two colours written #rrggbb; `share` is that of the other one."""
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)
