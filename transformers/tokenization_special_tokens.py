"""Special tokens by their role ([CLS], [SEP], [PAD], ...); mirrors Hugging Face's `SpecialTokensMixin`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .utils.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenizers import AddedToken


class _Token:
    """The special token of a role, such as `tokenizer.cls_token`; None where there is none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.role = name

    def __get__(self, tokenizer: Any, owner: type | None = None) -> Any:
        return self if tokenizer is None else tokenizer._special_tokens.get(self.role)

    def __set__(self, tokenizer: Any, token: str | AddedToken | None) -> None:
        if token is not None and str(token) not in tokenizer.get_vocab():
            raise ConfigurationError(f"{self.role} {str(token)!r} is not in the vocabulary: expected one of its tokens")
        tokenizer._special_tokens[self.role] = None if token is None else str(token)


class _TokenId:
    """The id of the special token of a role, such as `tokenizer.cls_token_id`; None where there is none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.role = name.removesuffix("_id")

    def __get__(self, tokenizer: Any, owner: type | None = None) -> Any:
        if tokenizer is None:
            return self
        token = tokenizer._special_tokens.get(self.role)
        return None if token is None else tokenizer.convert_tokens_to_ids(token)

    def __set__(self, tokenizer: Any, index: int | None) -> None:
        setattr(tokenizer, self.role, None if index is None else tokenizer.convert_ids_to_tokens(index))


class SpecialTokensMixin:
    """The special tokens of a tokenizer.

    Args:
        special_tokens: token by role, of those in SPECIAL_TOKENS_ATTRIBUTES; None for a role without a token.
        extra_special_tokens: special tokens without a role; of a dictionary the values count.
    """

    SPECIAL_TOKENS_ATTRIBUTES: ClassVar[tuple[str, ...]] = (
        "bos_token",
        "eos_token",
        "unk_token",
        "sep_token",
        "pad_token",
        "cls_token",
        "mask_token",
    )

    bos_token, eos_token, unk_token, sep_token = _Token(), _Token(), _Token(), _Token()
    pad_token, cls_token, mask_token = _Token(), _Token(), _Token()
    bos_token_id, eos_token_id, unk_token_id, sep_token_id = _TokenId(), _TokenId(), _TokenId(), _TokenId()
    pad_token_id, cls_token_id, mask_token_id = _TokenId(), _TokenId(), _TokenId()

    def __init__(
        self,
        special_tokens: Mapping[str, str | AddedToken | None],
        extra_special_tokens: Sequence[str | AddedToken] | Mapping[str, str | AddedToken],
    ) -> None:
        unknown = set(special_tokens) - set(self.SPECIAL_TOKENS_ATTRIBUTES)
        if unknown:
            raise TypeError(f"{type(self).__name__} got an unexpected argument {min(unknown)!r}")
        extra = extra_special_tokens
        # In this order new tokens get their ids, so that they are the stock library's.
        self._special_tokens = {
            role: str(special_tokens[role])
            for role in self.SPECIAL_TOKENS_ATTRIBUTES
            if special_tokens.get(role) is not None
        }
        self._extra_special_tokens = [str(token) for token in (extra.values() if isinstance(extra, Mapping) else extra)]

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The special tokens by their roles, without roles that have none."""
        return {role: token for role, token in self._special_tokens.items() if token is not None}

    @property
    def extra_special_tokens(self) -> list[str]:
        """Special tokens without a role."""
        return [*self._extra_special_tokens]

    additional_special_tokens = extra_special_tokens

    @property
    def all_special_tokens(self) -> list[str]:
        """All special tokens, each once."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self._extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of all special tokens."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

    def get_special_tokens_mask(
        self, token_ids_0: Sequence[int], token_ids_1: None = None, already_has_special_tokens: bool = True
    ) -> list[int]:
        """Return 1 for the special tokens of a row and 0 for the others.

        Args:
            token_ids_0: a row of ids, special tokens included.
            token_ids_1, already_has_special_tokens: only these values; to find out where special tokens would go
                encode with `return_special_tokens_mask=True`.
        """
        if token_ids_1 is not None or not already_has_special_tokens:
            raise ValueError("expected one row with its special tokens; or encode with return_special_tokens_mask=True")
        special = set(self.all_special_ids)
        return [int(index in special) for index in map(int, token_ids_0)]

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all tokens, added ones included."""
        raise NotImplementedError

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Return the id of a token, or of each of a list."""
        raise NotImplementedError
