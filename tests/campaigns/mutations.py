"""Hypothesis strategies for damaged files: bytes that were changed here and there, JSON with values out of place."""

import json

from hypothesis import strategies as st

_SPECIAL = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**64), 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "0", "7", "none", "[PAD]", "\x1b[31m", "\u2028", "\ud800", "../x", "/etc/passwd", "x" * 5000, "é", "ß" * 9),
    *([], {}, [[]], {"": None}, [None] * 50, {"content": "[X]"}, {"__type": "AddedToken", "content": 3}, {"0": "a"}),
]

json_values = st.recursive(
    st.sampled_from(_SPECIAL) | st.integers(-3, 200) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=6,
)


def mutated_bytes(*bases: bytes) -> st.SearchStrategy[bytes]:
    """Good files with a few bytes flipped, cut out, doubled or replaced, and now and then no such file at all."""
    place = st.integers(0, 2**20 - 1).map(
        lambda number: number * 0x9E375 % 2**20 / 2**20
    )  # scattered: small ones abound
    edit = st.tuples(
        st.sampled_from("flip set cut double insert end".split()), place, st.binary(min_size=1, max_size=8)
    )
    changed = st.builds(_edit, st.sampled_from(bases), st.lists(edit, min_size=1, max_size=5))
    return changed | st.binary(max_size=60)


def _edit(content: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, new in edits:
        at = int(where * len(content))
        if kind == "flip":
            content = content[:at] + bytes(byte ^ 1 << new[0] % 8 for byte in content[at : at + 1]) + content[at + 1 :]
        elif kind == "set":
            content = content[:at] + new + content[at + len(new) :]
        elif kind == "cut":
            content = content[:at] + content[at + new[0] :]
        elif kind == "double":
            content = content[:at] + content[at : at + new[0]] * 2 + content[at + new[0] :]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        elif kind == "end":
            content = content[:at]
    return content


def mutated_json(base: dict) -> st.SearchStrategy[bytes]:
    """An object with some values, at any depth, replaced, left out or added to, as text; and sometimes broken text."""
    paths = list(_paths(base))
    edit = st.tuples(st.sampled_from(paths), st.sampled_from("replace replace replace remove add".split()), json_values)
    whole = st.builds(_edit_json, st.just(base), st.lists(edit, min_size=1, max_size=4))
    return whole | whole | whole | mutated_bytes(json.dumps(base).encode()) | json_values.map(_dump)


def _paths(value: object, before: tuple = ()):
    """The way to each value within a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from _paths(inner, (*before, key))


def _edit_json(base: dict, edits: list[tuple[tuple, str, object]]) -> bytes:
    content = json.loads(json.dumps(base))
    for path, kind, value in edits:
        holder = content
        try:
            for key in path[:-1]:
                holder = holder[key]
            if kind == "replace":
                holder[path[-1]] = value
            elif kind == "remove":
                del holder[path[-1]]
            else:
                holder[str(value)[:20]] = value
        except (KeyError, IndexError, TypeError):  # an earlier edit has taken the place away
            continue
    return _dump(content)


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()
