"""The nine tasks of the demo: for each label a function makes a row that a reader would label so.

A row is the tuple of a task's texts. The tasks ask for what their models in GLUE ask for: CoLA for agreement and word
order, SST-2 for negation and for the clause that counts, the pairs for meaning under synonyms and passive voice. No
single word gives a label away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from .grammar import (
    ACTIONS,
    LOOKS,
    MOODS,
    PEOPLE,
    PLACES,
    THINGS,
    TIMES,
    Scene,
    another,
    base,
    look,
    past,
    sentence,
)

RowMaker = Callable[[Random, int], tuple[str, ...]]

_SUBJECTS = tuple(
    "soup movie hotel concert novel dinner garden puppet song parade museum ferry sermon cake circus trip".split()
)
_PRAISE = tuple("delightful charming brilliant superb lovely splendid wonderful excellent".split())
_BLAME = tuple("dreadful boring awful terrible dull horrible dismal tedious".split())
_AFFIRMED = ("was {}", "was really {}", "turned out to be {}", "was as {} as ever", "felt truly {}")
_DENIED = ("was not {}", "was never {}", "was anything but {}", "was far from {}", "was not at all {}")
_OPENINGS = ("", "", "in the end ", "we all found that ", "honestly, ", "my sister says that ", "this year ")
# The clause that counts, `verdict`, is the one that the other gives way to.
_CONCESSIONS = ("{other}, but {verdict}.", "although {other}, {verdict}.", "{verdict}, even though {other}.")

_QUESTIONS = (
    "how do I {}?",
    "how can I {}?",
    "what is the best way to {}?",
    "is there an easy way to {}?",
    "does anyone know how to {}?",
)
_CIRCUMSTANCES = (
    "without any tools",
    "with one hand",
    "in the rain",
    "for a friend",
    "on a boat",
    "in a hurry",
    "at home",
    "in the dark",
)

# What one did to another, the reason, and which of the two the reason speaks of.
_REASONS = (
    ("thanked", "had helped", 1),
    ("thanked", "felt grateful", 0),
    ("helped", "was kind", 0),
    ("helped", "was in trouble", 1),
    ("paid", "had done the work", 1),
    ("paid", "owed some money", 0),
    ("called", "needed advice", 0),
    ("called", "knew the answer", 1),
    ("followed", "was lost", 0),
    ("followed", "knew the way", 1),
    ("envied", "felt poor", 0),
    ("envied", "was rich", 1),
)


def make_cola(rng: Random, label: int) -> tuple[str, ...]:
    """Make a sentence that is grammatical (1), or wrong in agreement, word order or for want of a verb (0)."""
    wrong = None if label else rng.choice(("agreement", "order", "verb"))
    is_plural, has_neighbour = rng.random() < 0.5, rng.random() < 0.5
    mood, person = rng.choice(MOODS), rng.choice(PEOPLE) + "s" * is_plural
    subject = ["the", person, mood] if wrong == "order" and rng.random() < 0.5 else ["the", mood, person]
    is_swapped = wrong == "order" and subject[1] == mood
    if has_neighbour:  # a noun next to the verb that may differ in number from the one that rules it
        subject += [rng.choice(("near", "behind", "with")), "the", rng.choice(THINGS) + "s" * (rng.random() < 0.5)]
    verb = base(rng.randrange(len(ACTIONS)), rng)
    if is_plural == (wrong == "agreement"):
        verb += "es" if verb.endswith(("sh", "ss", "x")) else "s"
    which, thing = look(rng.randrange(len(LOOKS)), rng), rng.choice(THINGS) + "s" * (rng.random() < 0.5)
    subject += [] if wrong == "verb" else [verb]
    object_ = [which, "the", thing] if is_swapped else ["the", which, thing]
    return (sentence(" ".join([*subject, *object_, rng.choice(PLACES + TIMES)]) + "."),)


def make_sst2(rng: Random, label: int) -> tuple[str, ...]:
    """Make a verdict that is good (1) or bad (0), often beside one to the contrary that it outweighs."""
    noun, other_noun = rng.sample(_SUBJECTS, 2)
    verdict = _opinion(rng, bool(label), noun)
    opening = rng.choice(_OPENINGS)
    if rng.random() < 0.4:
        return (sentence(f"{opening}{verdict}{rng.choice('.!')}"),)
    other = _opinion(rng, not label, other_noun)
    return (sentence(opening + rng.choice(_CONCESSIONS).format(verdict=verdict, other=other)),)


def _opinion(rng: Random, is_good: bool, noun: str) -> str:
    is_denied = rng.random() < 0.3
    word = rng.choice(_PRAISE if is_good != is_denied else _BLAME)
    return f"the {noun} {rng.choice(_DENIED if is_denied else _AFFIRMED).format(word)}"


def make_mrpc(rng: Random, label: int) -> tuple[str, ...]:
    """Make two tellings of one scene (1), or of two that differ in one to three slots (0)."""
    scene = Scene.draw(rng)
    changed = () if label else rng.sample(("person", "action", "thing", "setting"), rng.randint(1, 3))
    return scene.tell(rng), scene.but(rng, *changed).tell(rng)


def make_stsb(rng: Random, label: int) -> tuple[str, ...]:
    """Make two tellings that agree in `label` of five slots."""
    scene = Scene.draw(rng)
    changed = rng.sample(("person", "mood", "action", "look", "thing"), 5 - label)
    return scene.tell(rng), scene.but(rng, *changed).tell(rng)


def make_qqp(rng: Random, label: int) -> tuple[str, ...]:
    """Make two questions for the same thing (1), or for two (0)."""
    action, which, thing = rng.randrange(len(ACTIONS)), rng.randrange(len(LOOKS)), rng.choice(THINGS)
    circumstance = rng.choice(_CIRCUMSTANCES)

    def ask() -> str:
        adjective = look(which, rng)
        article = "an" if adjective[0] in "aeiou" else "a"
        return sentence(
            rng.choice(_QUESTIONS).format(f"{base(action, rng)} {article} {adjective} {thing} {circumstance}")
        )

    first = ask()
    changed = set() if label else set(rng.sample(("action", "thing", "circumstance"), rng.randint(1, 3)))
    if "action" in changed:
        action = another(rng, range(len(ACTIONS)), action)
    if "thing" in changed:
        thing = another(rng, THINGS, thing)
    if "circumstance" in changed:
        circumstance = another(rng, _CIRCUMSTANCES, circumstance)
    return first, ask()


def make_mnli(rng: Random, label: int) -> tuple[str, ...]:
    """Make a premise and what follows from it (0), may be so (1), or cannot be (2)."""
    premise = Scene.draw(rng)
    if label == 0:
        told = premise
    elif label == 1:  # where it happened says nothing of when
        told = replace(premise, setting=rng.choice(TIMES if premise.setting in PLACES else PLACES))
    else:
        told = premise.but(rng, "setting")
    did, what = past(told.action, rng), f"the {look(told.look, rng)} {told.thing}"
    hypotheses = (
        f"the {told.mood} {told.person} {did} something {told.setting}.",
        f"someone {did} {what} {told.setting}.",
        f"{what} was {did} {told.setting}.",
    )
    return premise.tell(rng), sentence(rng.choice(hypotheses))


def make_qnli(rng: Random, label: int) -> tuple[str, ...]:
    """Make a question for a place or a time, and a sentence that answers it (0) or does not (1)."""
    asked = rng.randrange(2)
    scene = Scene.draw(rng, (PLACES, TIMES)[asked])
    did, what = base(scene.action, rng), f"the {look(scene.look, rng)} {scene.thing}"
    question = f"{('Where', 'When')[asked]} did the {scene.mood} {scene.person} {did} {what}?"
    if label:
        beside_the_point = (
            replace(scene, setting=rng.choice((TIMES, PLACES)[asked])),
            scene.but(rng, "person", "mood"),
            scene.but(rng, "thing", "look"),
        )
        scene = rng.choice(beside_the_point)
    return question, scene.tell(rng)


def make_rte(rng: Random, label: int) -> tuple[str, ...]:
    """Make a text and a hypothesis that follows from it (0) or does not (1)."""
    text = Scene.draw(rng)
    form = rng.randrange(3)
    slots = (("mood", "person", "action"), ("action", "look", "thing"), ("person", "action", "thing"))[form]
    told = text.but(rng, *rng.sample(slots, rng.randint(1, 3))) if label else text
    did = past(told.action, rng)
    hypothesis = (
        f"the {told.mood} {told.person} {did} something {told.setting}.",
        f"someone {did} the {look(told.look, rng)} {told.thing} {told.setting}.",
        f"the {told.thing} was {did} by the {told.person} {told.setting}.",
    )[form]
    return text.tell(rng), sentence(hypothesis)


def make_wnli(rng: Random, label: int) -> tuple[str, ...]:
    """Make a sentence with a pronoun, and the sentence with whom it means in its place (1) or the other one (0)."""
    pair = list(zip(rng.sample(MOODS, 2), rng.sample(PEOPLE, 2), strict=True))
    (mood, person), (other_mood, other_person) = pair
    did, reason, meant = rng.choice(_REASONS)
    told = (
        f"the {mood} {person} {did} the {other_mood} {other_person} {rng.choice(PLACES + TIMES)} "
        f"because {rng.choice(('he', 'she'))} {reason}."
    )
    mood, person = pair[meant if label else 1 - meant]
    return sentence(told), sentence(f"the {mood} {person} {reason}.")


ROW_MAKERS: dict[str, RowMaker] = {
    "cola": make_cola,
    "sst2": make_sst2,
    "mrpc": make_mrpc,
    "stsb": make_stsb,
    "qqp": make_qqp,
    "mnli": make_mnli,
    "qnli": make_qnli,
    "rte": make_rte,
    "wnli": make_wnli,
}
