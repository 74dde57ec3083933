"""The demo's small world: its words, and scenes that can be told in several ways.

A `Scene` is a meaning: who did what to which thing, where or when. Templates put it into words, in which
`[one|another]` is a choice: synonyms, the active or the passive voice. So two sentences can mean the same without
looking the same.
`glue/demo/tasks.py` makes the nine tasks of it.
"""

from __future__ import annotations

import re
from random import Random

PLACES = (
    "in the garden, in the kitchen, at the market, at the station, on the bridge, behind the barn, near the harbor, "
    "under the stairs"
).split(", ")
TIMES = (
    "on Monday, on Sunday, at noon, at midnight, before breakfast, after lunch, last winter, during the storm"
).split(", ")
# What a scene is made of: for each slot groups of values, those of one group excluding each other. Words in brackets
# mean the same.
WORLD: dict[str, tuple[list[str], ...]] = {
    "mood": ("patient cheerful clumsy sleepy clever nervous polite grumpy".split(),),
    "person": ("gardener baker doctor teacher pilot farmer sailor painter juggler tailor wizard dentist".split(),),
    "action": (
        "[repair|mend] [discover|uncover] [clean|scour] [crack|shatter] [pull|haul] [lift|hoist] [protect|guard] "
        "[mail|post]".split(),
    ),
    "look": ("[old|ancient] [huge|enormous] [tiny|little] [shiny|gleaming] [dirty|filthy] [strange|odd]".split(),),
    "thing": ("lamp teapot bicycle umbrella piano ladder violin mirror clock kite trumpet wagon".split(),),
    "setting": (PLACES, TIMES),
}
Scene = dict[str, str]

TOLD = (
    "[the {mood} {person} {action}ed the {look} {thing} {setting}."
    "|the {look} {thing} was {action}ed by the {mood} {person} {setting}.]"
)


def draw_scene(rng: Random) -> Scene:
    """Make up a scene: a value for every slot of `WORLD`."""
    return {slot: rng.choice(rng.choice(groups)) for slot, groups in WORLD.items()}


def changed(rng: Random, scene: Scene, *slots: str) -> Scene:
    """Return a scene with other values in some slots, so that both cannot be true of one event."""
    return scene | {slot: another(rng, slot, scene[slot]) for slot in slots}


def another(rng: Random, slot: str, value: str) -> str:
    """Choose one of the values that exclude `value`."""
    group = next(group for group in WORLD[slot] if value in group)
    return rng.choice([choice for choice in group if choice != value])


def spell(rng: Random, template: str, scene: Scene | None = None) -> str:
    """Put a template into words: fill in a scene, choose in every bracket, and begin with a capital letter.

    Example:
        >>> scene = {"person": "baker", "action": "[pull|haul]", "thing": "kite"}
        >>> spell(Random(2), "[the|a] {person} {action}ed the {thing}.", scene)
        'The baker pulled the kite.'
    """
    text = template.format_map(scene or {})
    while "[" in text:  # the innermost first
        text = re.sub(r"\[([^][]*)\]", lambda found: rng.choice(found[1].split("|")), text)
    return text[0].upper() + text[1:]
