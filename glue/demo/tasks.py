"""The nine tasks of the demo: for each label a function makes a row that a reader would label so.

A row is the tuple of a task's texts. The tasks ask for what their models in GLUE ask for: CoLA for agreement and word
order, SST-2 for negation and for the clause that counts, the pairs for meaning under synonyms and passive voice. No
single word gives a label away.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .grammar import PLACES, TIMES, TOLD, WORLD, changed, draw_scene, spell

RowMaker = Callable[[Random, int], tuple[str, ...]]

_SUBJECTS = (
    "soup movie hotel concert novel dinner garden puppet song parade museum ferry sermon cake circus trip".split()
)
_PRAISE = "[delightful|charming|brilliant|superb|lovely|splendid|wonderful|excellent]"
_BLAME = "[dreadful|boring|awful|terrible|dull|horrible|dismal|tedious]"
_AFFIRMED = "[was {}|was really {}|turned out to be {}|was as {} as ever|felt truly {}]"
_DENIED = "[was not {}|was never {}|was anything but {}|was far from {}|was not at all {}]"
_OPENING = "[||in the end |we all found that |honestly, |my sister says that |this year ]"
# The clause that counts, `verdict`, is the one that the other gives way to.
_CONCESSIONS = "[{other}, but {verdict}.|although {other}, {verdict}.|{verdict}, even though {other}.]"

_QUESTION = (
    "[how do I|how can I|what is the best way to|is there an easy way to|does anyone know how to] "
    "{action} my {look} {thing} {setting}?"
)
# What follows from a scene, and the slots that decide it.
_HYPOTHESES = (
    ("the {mood} {person} {action}ed something {setting}.", ("mood", "person", "action")),
    ("someone {action}ed the {look} {thing} {setting}.", ("action", "look", "thing")),
    ("the {thing} was {action}ed by the {person} {setting}.", ("person", "action", "thing")),
)
# What one did to another, and a reason that speaks of the one, and of the other.
_REASONS = (
    ("thanked", ("felt grateful", "had helped")),
    ("helped", ("was kind", "was in trouble")),
    ("paid", ("owed some money", "had done the work")),
    ("called", ("needed advice", "knew the answer")),
    ("followed", ("was lost", "knew the way")),
    ("envied", ("felt poor", "was rich")),
)


def make_cola(rng: Random, label: int) -> tuple[str, ...]:
    """Make a sentence that is grammatical (1), or wrong in agreement, word order or for want of a verb (0)."""
    wrong = "" if label else rng.choice(("agreement", "order of the subject", "order of the object", "verb"))
    plural = rng.random() < 0.5
    subject, thing = ("{mood}", "{person}" + "s" * plural), ("the", "{look}")
    verb = "{action}" + "s" * (plural == (wrong == "agreement"))
    words = [
        *("the", *(reversed(subject) if wrong == "order of the subject" else subject)),
        # A noun next to the verb may differ in number from the one that rules it.
        f"[|[near|behind|with] the {rng.choice(WORLD['thing'][0])}[|s] ]" + verb * (wrong != "verb"),
        *(reversed(thing) if wrong == "order of the object" else thing),
        "{thing}[|s] {setting}.",
    ]
    return (" ".join(spell(rng, " ".join(words), draw_scene(rng)).split()),)


def make_sst2(rng: Random, label: int) -> tuple[str, ...]:
    """Make a verdict that is good (1) or bad (0), often beside one to the contrary that it outweighs."""
    nouns = rng.sample(_SUBJECTS, 2)
    verdict, other = (_opinion(rng, noun, good) for noun, good in zip(nouns, (label, 1 - label), strict=True))
    template = "{verdict}[.|!]" if rng.random() < 0.4 else _CONCESSIONS
    return (spell(rng, _OPENING + template, {"verdict": verdict, "other": other}),)


def _opinion(rng: Random, noun: str, good: int) -> str:
    is_denied = rng.random() < 0.3
    return f"the {noun} {_DENIED if is_denied else _AFFIRMED}".replace("{}", _PRAISE if good != is_denied else _BLAME)


def make_mrpc(rng: Random, label: int) -> tuple[str, ...]:
    """Make two tellings of one scene (1), or of two that differ in one to three slots (0)."""
    scene = draw_scene(rng)
    slots = () if label else rng.sample(("person", "action", "thing", "setting"), rng.randint(1, 3))
    return spell(rng, TOLD, scene), spell(rng, TOLD, changed(rng, scene, *slots))


def make_stsb(rng: Random, label: int) -> tuple[str, ...]:
    """Make two tellings that agree in `label` of five slots."""
    scene = draw_scene(rng)
    slots = rng.sample(("person", "mood", "action", "look", "thing"), 5 - label)
    return spell(rng, TOLD, scene), spell(rng, TOLD, changed(rng, scene, *slots))


def make_qqp(rng: Random, label: int) -> tuple[str, ...]:
    """Make two questions for the same thing (1), or for two (0)."""
    scene = draw_scene(rng)
    slots = () if label else rng.sample(("action", "thing", "setting"), rng.randint(1, 3))
    return spell(rng, _QUESTION, scene), spell(rng, _QUESTION, changed(rng, scene, *slots))


def make_mnli(rng: Random, label: int) -> tuple[str, ...]:
    """Make a premise and what follows from it (0), may be so (1), or cannot be (2)."""
    premise = told = draw_scene(rng)
    if label == 1:  # where it happened says nothing of when
        told = premise | {"setting": _unasked(rng, premise)}
    elif label == 2:
        told = changed(rng, premise, "setting")
    return spell(rng, TOLD, premise), spell(rng, rng.choice(_HYPOTHESES)[0], told)


def _unasked(rng: Random, scene: dict[str, str]) -> str:
    """A time for a scene that has a place, and the other way round."""
    return rng.choice(TIMES if scene["setting"] in PLACES else PLACES)


def make_qnli(rng: Random, label: int) -> tuple[str, ...]:
    """Make a question for a place or a time, and a sentence that answers it (0) or does not (1)."""
    scene = draw_scene(rng)
    word = "where" if scene["setting"] in PLACES else "when"
    question = spell(rng, word + " did the {mood} {person} {action} the {look} {thing}?", scene)
    beside_the_point = (
        scene | {"setting": _unasked(rng, scene)},
        changed(rng, scene, "person", "mood"),
        changed(rng, scene, "thing", "look"),
    )
    return question, spell(rng, TOLD, rng.choice(beside_the_point) if label else scene)


def make_rte(rng: Random, label: int) -> tuple[str, ...]:
    """Make a text and a hypothesis that follows from it (0) or does not (1)."""
    text = draw_scene(rng)
    hypothesis, slots = rng.choice(_HYPOTHESES)
    told = changed(rng, text, *rng.sample(slots, rng.randint(1, 3))) if label else text
    return spell(rng, TOLD, text), spell(rng, hypothesis, told)


def make_wnli(rng: Random, label: int) -> tuple[str, ...]:
    """Make a sentence with a pronoun, and the sentence with whom it means in its place (1) or the other one (0)."""
    scene = draw_scene(rng)
    other = changed(rng, scene, "mood", "person")
    did, reasons = rng.choice(_REASONS)
    meant = rng.randrange(2)
    pair = [f"the {each['mood']} {each['person']}" for each in (scene, other)]
    told = f"{pair[0]} {did} {pair[1]} {scene['setting']} because [he|she] {reasons[meant]}."
    return spell(rng, told), spell(rng, f"{pair[meant if label else 1 - meant]} {reasons[meant]}.")


_MAKERS = (make_cola, make_sst2, make_mrpc, make_stsb, make_qqp, make_mnli, make_qnli, make_rte, make_wnli)
ROW_MAKERS: dict[str, RowMaker] = {maker.__name__.removeprefix("make_"): maker for maker in _MAKERS}
