"""The products of the demonstration shop, as `tradepost import` takes them.

A line here is a kind of thing, its name, price in pence, weight in grams, and its colours or
sizes; the rest follows from the kind. Nothing is random: the shop is the same on every machine.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.demo.drawings import COLOURS

VENDORS = {
    "kitchen": "Fennel & Clay",
    "lighting": "Halden Works",
    "stationery": "Paper Lantern Press",
    "garden": "Fennel & Clay",
    "textiles": "Loomfield",
    "wall-art": "Paper Lantern Press",
    "furniture": "Halden Works",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """A product of the demonstration shop. Choices cost `step_minor` more, one after another."""

    kind: str  # what its picture shows: infra.demo.drawings
    title: str
    category: str
    text: str
    amount_minor: int  # pence
    weight_grams: int
    choice: str = ""  # the option's name
    choices: tuple[str, ...] = ()
    step_minor: int = 0
    before_minor: int | None = None
    tags: tuple[str, ...] = ()
    sku_stem: str = ""  # what its SKUs begin with, where that is not its handle

    @property
    def handle(self) -> str:
        return self.title.lower().replace(" & ", "-").replace(" ", "-").replace("'", "")


def _kitchen(kind: str, title: str, text: str, amount: int, grams: int, *colours: str,
             before: int | None = None, tags: tuple[str, ...] = ()) -> Thing:  # fmt: skip
    return Thing(kind, title, "kitchen", text, amount, grams, "Colour" if colours else "",
                 colours, before_minor=before, tags=tags)  # fmt: skip


def _sized(kind: str, title: str, category: str, text: str, amount: int, grams: int,
           sizes: tuple[str, ...], step: int, tags: tuple[str, ...] = ()) -> Thing:  # fmt: skip
    return Thing(kind, title, category, text, amount, grams, "Size", sizes, step, tags=tags)


def _coloured(kind: str, title: str, category: str, text: str, amount: int, grams: int,
              *colours: str, before: int | None = None,
              tags: tuple[str, ...] = ()) -> Thing:  # fmt: skip
    return Thing(kind, title, category, text, amount, grams, "Colour" if colours else "",
                 colours, before_minor=before, tags=tags)  # fmt: skip


# fmt: off
THINGS: tuple[Thing, ...] = (
    Thing("mug", "Stoneware Mug", "kitchen", "Thrown by hand and dipped twice, so that no two rims are alike. Holds 350 ml and keeps it warm.", 1400, 380, "Colour", ("Sand", "Ink", "Fern", "Clay"), tags=("gift",), sku_stem="MUG-STONEWARE"),
    _kitchen("cup", "Little Espresso Cup", "Eighty millilitres, thick walls, and a handle for one finger.", 900, 160, "Oat", "Ink", "Rose"),
    _kitchen("mug", "Campfire Mug", "Enamel on steel. It chips, it dents, it never breaks.", 1150, 210, "Ink", "Clay", "Sage"),
    _kitchen("teapot", "Rainy Day Teapot", "Pours without a drip and holds enough for three. The strainer is built in.", 4200, 980, "Oat", "Fern", "Ink", before=4800, tags=("gift",)),
    _kitchen("teapot", "Small Teapot for One", "One and a half cups, which is one cup and the reason for staying.", 2900, 620, "Rose", "Sage"),
    _kitchen("bowl", "Breakfast Bowl", "Deep enough for porridge, wide enough for fruit.", 1600, 450, "Oat", "Sky", "Clay"),
    _kitchen("bowls", "Nesting Bowls", "Three bowls that become one when the shelf is small.", 3800, 1500, "Oat", "Sage"),
    _kitchen("bowl", "Salad Bowl", "Oiled beech, turned from one piece. Bring the whole garden.", 5400, 1350),
    _kitchen("jug", "Milk Jug", "For milk, for gravy, for the three tulips you were given.", 1900, 420, "Oat", "Sky", "Rose"),
    _kitchen("carafe", "Water Carafe", "One litre, with a lip that knows where to stop.", 2600, 700, "Sky", "Fern"),
    _kitchen("board", "Oak Chopping Board", "End grain, so that the knife stays sharp and the board forgives.", 4900, 2100),
    _kitchen("cheese", "Cheese Board", "Slate in an ash frame; write the names of the cheeses in chalk.", 2700, 1200),
    _kitchen("pan", "Cast Iron Skillet", "Twenty-six centimetres, already seasoned. Leave it to somebody.", 5900, 2600),
    _kitchen("pan", "Milk Pan", "Pouring lips on both sides, for either hand.", 3400, 900, "Ink", "Oat"),
    _kitchen("apron", "Linen Apron", "Washed linen, crossed at the back, with a pocket for the recipe.", 3600, 340, "Oat", "Ink", "Clay", tags=("linen",)),
    _kitchen("towel", "Tea Towels", "Two of them: one for glasses, one for everything else.", 1500, 180, "Sky", "Clay", "Fern", tags=("linen",)),
    _coloured("lamp", "Desk Lamp", "lighting", "Two joints and a heavy foot. It stays where you leave it.", 6900, 1900, "Ink", "Oat", "Mustard"),
    _coloured("lamp", "Reading Lamp", "lighting", "A warm pool of light, exactly as wide as a book.", 5400, 1500, "Sage", "Clay", before=6200),
    _coloured("pendant", "Paper Pendant", "lighting", "Folded paper on a brass ring. Weighs less than the shadow it casts.", 4500, 400, "Oat", "Rose"),
    _coloured("pendant", "Enamel Pendant", "lighting", "For above the table: bright below, quiet above.", 7800, 1300, "Ink", "Mustard", "Fern"),
    _coloured("candle", "Beeswax Candle", "lighting", "Burns for forty hours and smells of nothing but honey.", 1800, 320),
    _coloured("tin", "Candles in a Tin", "lighting", "For journeys, baths and power cuts.", 1200, 240, "Rose", "Sage", "Ink", tags=("gift",)),
    _coloured("lantern", "Storm Lantern", "lighting", "Glass, steel and a wick. Works when nothing else does.", 3900, 1100, "Ink", "Mustard"),
    _coloured("notebook", "Everyday Notebook", "stationery", "Lies flat from the first page. 192 pages, dotted.", 1200, 280, "Ink", "Clay", "Sage", "Mustard", tags=("paper",)),
    _coloured("notebooks", "Pocket Notebook", "stationery", "Three thin ones for the back pocket.", 850, 120, "Fern", "Rose", "Sky", tags=("paper",)),
    _coloured("notebook", "Sketchbook", "stationery", "Heavy paper that takes ink and a little water.", 1900, 520, "Ink", tags=("paper",)),
    _coloured("planner", "Week Planner", "stationery", "No dates printed: begin when you like, skip when you must.", 2200, 410, "Oat", "Sage", tags=("paper",)),
    _coloured("pencils", "Drawing Pencils", "stationery", "Twelve grades of cedar and graphite, from 4H to 6B.", 1700, 150),
    _coloured("pencils", "Coloured Pencils", "stationery", "Twenty-four colours and a sharpener that keeps the shavings.", 2400, 260, before=2800, tags=("gift",)),
    _coloured("pen", "Fountain Pen", "stationery", "A steel nib for people who press too hard.", 3200, 60, "Ink", "Clay", "Fern", tags=("gift",)),
    _coloured("pen", "Brass Ballpoint", "stationery", "Solid brass. It will look like yours within a month.", 2600, 70),
    _coloured("cards", "Letter Set", "stationery", "Twenty sheets, ten envelopes, no excuse.", 1400, 210, "Oat", "Sky", "Rose", tags=("paper", "gift")),
    _coloured("cards", "Thank You Cards", "stationery", "Eight cards, printed in two colours on cotton paper.", 1100, 140, "Sage", "Clay", tags=("paper",)),
    _sized("pot", "Terracotta Pot", "garden", "Fired hot enough for frost. The saucer comes with it.", 900, 900, ("Small", "Medium", "Large"), 700),
    _coloured("pot", "Glazed Planter", "garden", "Glazed outside, bare inside, with a hole where a hole belongs.", 2800, 1700, "Sky", "Fern", "Mustard"),
    _coloured("hanging", "Hanging Planter", "garden", "For trailing things. The cord is cotton and long enough.", 2300, 800, "Oat", "Clay"),
    _coloured("plant", "Rubber Plant", "garden", "Forgives a forgotten fortnight. About forty centimetres tall.", 2600, 2200, tags=("plant",)),
    _coloured("ivy", "Trailing Ivy", "garden", "Grows towards whatever light there is.", 1400, 900, tags=("plant",)),
    _coloured("herbs", "Kitchen Herbs", "garden", "Basil, thyme and chives in one box.", 1700, 1400, tags=("plant", "gift")),
    _coloured("can", "Watering Can", "garden", "Long neck, fine rose, four litres at most so that you can lift it.", 3300, 950, "Sage", "Ink", "Mustard"),
    _coloured("can", "Indoor Watering Can", "garden", "One litre, and a spout that finds the pot behind the pot.", 2100, 400, "Oat", "Rose"),
    _coloured("trowel", "Hand Trowel", "garden", "Forged, with an ash handle and a line every centimetre.", 1900, 300),
    _coloured("gloves", "Garden Gloves", "garden", "Goatskin palms; roses notice the difference.", 2400, 160, "Clay", "Fern"),
    _coloured("birdhouse", "Nesting Box", "garden", "For tits and sparrows. Opens at the side, for the spring cleaning.", 2900, 1300, "Oat", "Sky", "Clay"),
    _sized("blanket", "Wool Blanket", "textiles", "Lambswool, woven in a herringbone and finished with a fringe.", 8900, 1200, ("Single", "Double"), 3500, tags=("wool",)),
    _coloured("blanket", "Picnic Blanket", "textiles", "Dry below, soft above, and a strap to carry it.", 5600, 1500, "Clay", "Fern", "Sky"),
    _coloured("blanket", "Baby Blanket", "textiles", "Cotton knitted in waves. Can be boiled, and will be.", 4100, 450, "Oat", "Sky", "Rose", tags=("gift",)),
    _coloured("cushion", "Linen Cushion", "textiles", "Feathers inside, so it can be given a good shake.", 3400, 700, "Oat", "Ink", "Mustard", "Sage", tags=("linen",)),
    _coloured("cushion", "Velvet Cushion", "textiles", "For the one chair everybody wants.", 3900, 720, "Rose", "Fern"),
    _coloured("towel", "Bath Towel", "textiles", "Heavy cotton that gets softer for ten years.", 2700, 650, "Oat", "Sky", "Sage"),
    _coloured("basket", "Laundry Basket", "textiles", "Rope, coiled and sewn. Stands up even when it is empty.", 4800, 1400, "Oat", "Clay"),
    _sized("mountain", "Mountain Print", "wall-art", "Four layers of ink, from the valley to the snow.", 2400, 180, ("A4", "A3", "A2"), 1200, tags=("paper",)),
    _sized("harbour", "Harbour Print", "wall-art", "The boats at half past six, before anybody is awake.", 2400, 180, ("A4", "A3", "A2"), 1200, tags=("paper",)),
    _sized("botanical", "Botanical Print", "wall-art", "A fern, drawn from life and then a little better.", 2400, 180, ("A4", "A3"), 1200, tags=("paper",)),
    _sized("frame", "Oak Frame", "wall-art", "Solid oak, real glass, and hooks for both ways up.", 2900, 900, ("A4", "A3", "A2"), 1400),
    _coloured("clock", "Wall Clock", "wall-art", "It does not tick.", 4600, 800, "Oat", "Ink", "Mustard"),
    _coloured("chair", "Kitchen Chair", "furniture", "Beech, steam-bent, with a seat shaped for second helpings.", 14900, 5200, "Oat", "Ink", "Sage"),
    _coloured("armchair", "Reading Chair", "furniture", "Wide arms: one for the tea, one for the cat.", 38900, 16500, "Mustard", "Fern", before=42900),
    _coloured("stool", "Three-Legged Stool", "furniture", "Never wobbles, on any floor.", 7900, 3100, "Oat", "Clay"),
    _coloured("table", "Side Table", "furniture", "A round top and a place for the newspaper.", 16900, 6800, "Oat", "Ink"),
    _coloured("shelf", "Wall Shelf", "furniture", "Sixty centimetres of ash on two brass brackets.", 5200, 2300),
    _coloured("bookcase", "Standing Bookshelf", "furniture", "Five shelves. Leans on the wall and on nobody's nerves.", 24900, 14500, "Oat", "Ink"),
)
# fmt: on

# What shops run out of: named, so that a visitor meets an empty shelf and a last piece.
_SOLD_OUT = {"VELVET-CUSHION-ROSE", "WATER-CARAFE-FERN"}
_LAST_ONE = {"READING-CHAIR-FERN", "RAINY-DAY-TEAPOT-INK"}


def products() -> Iterator[dict[str, Any]]:
    """Make the products, each as one line of a file that `tradepost import` takes."""
    for thing in THINGS:
        assert thing.choice != "Colour" or set(thing.choices) <= set(COLOURS)
        yield {
            "handle": thing.handle,
            "title": thing.title,
            "description": thing.text,
            "vendor": VENDORS[thing.category],
            "categories": [thing.category, *(["gifts"] if "gift" in thing.tags else [])],
            "tags": list(thing.tags),
            "attributes": {"Made for": thing.category.replace("-", " ")},
            "images": [
                {"url": f"/demo/{picture}.svg", "alt": alt} for picture, alt in _pictures(thing)
            ],
            "options": [thing.choice] if thing.choice else [],
            "variants": [
                _variant(thing, number, choice)
                for number, choice in enumerate(thing.choices or ("",))
            ],
            "published": True,
        }


def as_jsonl() -> str:
    """Write the shop as a file of JSON Lines."""
    return "".join(json.dumps(product, ensure_ascii=False) + "\n" for product in products())


def _pictures(thing: Thing) -> list[tuple[str, str]]:
    """Name the pictures: one, or one for each colour."""
    if thing.choice != "Colour":
        return [(thing.handle, thing.title)]
    return [
        (f"{thing.handle}--{colour.lower()}", f"{thing.title} in {colour.lower()}")
        for colour in thing.choices
    ]


def _variant(thing: Thing, number: int, choice: str) -> dict[str, Any]:
    sku = "-".join(filter(None, (thing.sku_stem or thing.handle, choice.lower()))).upper()
    before = thing.before_minor
    return {
        "sku": sku,
        "option_values": [choice] if choice else [],
        "price": {"amount_minor": thing.amount_minor + number * thing.step_minor,
                  "currency": "GBP"},
        "compare_at": {"amount_minor": before, "currency": "GBP"} if before else None,
        "weight_grams": thing.weight_grams + number * thing.weight_grams // 2
        if thing.choice == "Size" else thing.weight_grams,
        "on_hand": _on_hand(sku),
    }  # fmt: skip


def _on_hand(sku: str) -> int:
    if sku in _SOLD_OUT:
        return 0
    if sku in _LAST_ONE:
        return 1
    return 12 + zlib.crc32(sku.encode()) % 140
