"""The demo's small world: its words, and scenes that can be told in several ways.

A `Scene` is a meaning: who did what to which thing, where or when. `Scene.tell` puts it into words, with synonyms and
in the active or the passive voice as it likes, so that two sentences can mean the same without looking the same.
`glue/demo/tasks.py` makes the nine tasks of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

PEOPLE = tuple("gardener baker doctor teacher pilot farmer sailor painter juggler tailor wizard dentist".split())
MOODS = tuple("patient cheerful clumsy sleepy clever nervous polite grumpy".split())
THINGS = tuple("lamp teapot bicycle umbrella piano ladder violin mirror clock kite trumpet wagon".split())

# Words of one line mean the same here.
LOOKS = (
    ("old", "ancient"),
    ("huge", "enormous"),
    ("tiny", "little"),
    ("shiny", "gleaming"),
    ("dirty", "filthy"),
    ("strange", "odd"),
)
# Base form and past of the synonyms; the past is the participle as well.
ACTIONS = (
    (("repair", "repaired"), ("fix", "fixed")),
    (("buy", "bought"), ("purchase", "purchased")),
    (("find", "found"), ("discover", "discovered")),
    (("clean", "cleaned"), ("scrub", "scrubbed")),
    (("smash", "smashed"), ("shatter", "shattered")),
    (("drag", "dragged"), ("haul", "hauled")),
    (("wrap", "wrapped"), ("pack", "packed")),
    (("toss", "tossed"), ("fling", "flung")),
)
PLACES = (
    "in the garden",
    "in the kitchen",
    "at the market",
    "at the station",
    "on the bridge",
    "behind the barn",
    "near the harbor",
    "under the stairs",
)
TIMES = (
    "on Monday",
    "on Sunday",
    "at noon",
    "at midnight",
    "before breakfast",
    "after lunch",
    "last winter",
    "during the storm",
)


@dataclass(frozen=True)
class Scene:
    """Who did what to which thing, and the place or the time of it.

    Args:
        person: one of `PEOPLE`.
        mood: one of `MOODS`.
        action: a row of `ACTIONS`.
        look: a row of `LOOKS`.
        thing: one of `THINGS`.
        setting: one of `PLACES` or `TIMES`.

    Example:
        >>> scene = Scene("gardener", "patient", action=0, look=0, thing="lamp", setting="at noon")
        >>> scene.tell(Random(1))
        'The patient gardener repaired the old lamp at noon.'
    """

    person: str
    mood: str
    action: int
    look: int
    thing: str
    setting: str

    @classmethod
    def draw(cls, rng: Random, settings: Sequence[str] = PLACES + TIMES) -> Scene:
        """Make up a scene."""
        return cls(
            person=rng.choice(PEOPLE),
            mood=rng.choice(MOODS),
            action=rng.randrange(len(ACTIONS)),
            look=rng.randrange(len(LOOKS)),
            thing=rng.choice(THINGS),
            setting=rng.choice(settings),
        )

    def tell(self, rng: Random) -> str:
        """Put the scene into words."""
        who, what = f"the {self.mood} {self.person}", f"the {look(self.look, rng)} {self.thing}"
        did = past(self.action, rng)
        if rng.random() < 0.5:
            return sentence(f"{who} {did} {what} {self.setting}.")
        return sentence(f"{what} was {did} by {who} {self.setting}.")

    def but(self, rng: Random, *names: str) -> Scene:
        """Return the scene with other values in the slots `names`."""
        changes: dict[str, Any] = {name: another(rng, _CHOICES[name](self), getattr(self, name)) for name in names}
        return replace(self, **changes)


# What the slots of a scene choose from.
_CHOICES: dict[str, Callable[[Scene], Sequence[Any]]] = {
    "person": lambda scene: PEOPLE,
    "mood": lambda scene: MOODS,
    "action": lambda scene: range(len(ACTIONS)),
    "look": lambda scene: range(len(LOOKS)),
    "thing": lambda scene: THINGS,
    # A place gives way to a place and a time to a time, so that the two scenes cannot both be true.
    "setting": lambda scene: PLACES if scene.setting in PLACES else TIMES,
}


def another(rng: Random, choices: Iterable[T], value: T) -> T:
    """Choose one that is not `value`."""
    return rng.choice([choice for choice in choices if choice != value])


def base(action: int, rng: Random) -> str:
    """Name an action by its base form: "repair"."""
    return rng.choice(ACTIONS[action])[0]


def past(action: int, rng: Random) -> str:
    """Name an action by its past: "repaired"."""
    return rng.choice(ACTIONS[action])[1]


def look(index: int, rng: Random) -> str:
    """Name a look: "old" or "ancient"."""
    return rng.choice(LOOKS[index])


def sentence(text: str) -> str:
    """Begin with a capital letter."""
    return text[0].upper() + text[1:]
