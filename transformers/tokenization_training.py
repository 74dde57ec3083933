"""A new vocabulary for a tokenizer: the same rules, learned from other texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from .tokenization_vocabulary import Token

# The trainer of each algorithm, and how its empty model begins.
_ALGORITHMS: dict[type, tuple[type, dict[str, Any]]] = {
    models.BPE: (trainers.BpeTrainer, {}),
    models.WordPiece: (trainers.WordPieceTrainer, {"unk_token": None}),
    models.WordLevel: (trainers.WordLevelTrainer, {"unk_token": None}),
    models.Unigram: (trainers.UnigramTrainer, {}),
}


def train_backend(
    backend: Tokenizer,
    texts: Iterable[str] | Iterable[Sequence[str]],
    vocab_size: int,
    special_tokens: Sequence[Token],
    unk_token: str | None,
    renamed: Mapping[str, str],
    length: int | None = None,
    **options: Any,
) -> Tokenizer:
    """Return a tokenizer with the rules of another one and a vocabulary of its own.

    Args:
        backend: whose normalizer, splits, decoder and algorithm are taken; it is not changed.
        texts: strings, or lists of them.
        vocab_size: int, tokens of the new vocabulary, special ones included.
        special_tokens: these come first, in their order.
        unk_token: what stands for what the vocabulary does not have.
        renamed: new names of special tokens by their old ones.
        length: int, number of texts, for the progress bar.
        **options: of the trainer in the `tokenizers` library, which says what it does not know.
    """
    kind = type(backend.model)
    trainer_class, empty = _ALGORITHMS[kind]
    options = {"show_progress": False, "special_tokens": [*special_tokens], "vocab_size": vocab_size, **options}
    if kind is models.Unigram:
        options.setdefault("unk_token", unk_token)
    if "ByteLevel" in str(json.loads(backend.to_str())["pre_tokenizer"]):
        options.setdefault("initial_alphabet", pre_tokenizers.ByteLevel.alphabet())
    trained = Tokenizer(kind(**dict.fromkeys(empty, unk_token)))
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        if (value := getattr(backend, part)) is not None:
            setattr(trained, part, value)
    trained.train_from_iterator(texts, trainer=trainer_class(**options), length=length)
    content = json.loads(trained.to_str())
    content["post_processor"] = _with_new_ids(json.loads(backend.to_str())["post_processor"], trained, renamed)
    return Tokenizer.from_str(json.dumps(content))


def _with_new_ids(processor: Any, trained: Tokenizer, renamed: Mapping[str, str]) -> Any:
    """Return what puts special tokens around a text, with the names and ids that they have now."""
    if isinstance(processor, list):
        if len(processor) == 2 and isinstance(processor[0], str) and isinstance(processor[1], int):
            name = renamed.get(processor[0], processor[0])
            return [name, trained.token_to_id(name)]
        return [_with_new_ids(item, trained, renamed) for item in processor]
    if not isinstance(processor, dict):
        return renamed.get(processor, processor) if isinstance(processor, str) else processor
    if "tokens" in processor and "ids" in processor:
        tokens = [renamed.get(token, token) for token in processor["tokens"]]
        ids = [trained.token_to_id(token) for token in tokens]
        return {"id": renamed.get(processor["id"], processor["id"]), "ids": ids, "tokens": tokens}
    return {renamed.get(key, key): _with_new_ids(value, trained, renamed) for key, value in processor.items()}
