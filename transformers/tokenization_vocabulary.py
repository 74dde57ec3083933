"""`Vocabulary`: tokens and their ids, special tokens by their role, added tokens; mirrors `SpecialTokensMixin`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from tokenizers import AddedToken, Tokenizer

from .utils.errors import CheckpointError, ConfigurationError, UserError

Token = str | AddedToken


class Vocabulary:
    """The tokens of a `tokenizers.Tokenizer`.

    Every role of SPECIAL_TOKENS_ATTRIBUTES is an attribute, such as `cls_token`, and `cls_token_id` beside it; None
    where there is no such token.
    """

    SPECIAL_TOKENS_ATTRIBUTES: ClassVar[tuple[str, ...]] = (
        *("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"),
    )

    _tokenizer: Tokenizer
    _special_tokens: dict[str, str | None]  # by role
    _extra_special_tokens: list[str]

    def _register(self, by_role: Mapping[str, Token], extra: Sequence[Token], added: Mapping[Any, Any]) -> None:
        """Let the backend find special and added tokens in a text; those that are not in the vocabulary get new ids.

        Args:
            by_role: special tokens, in the order in which new ones get their ids.
            extra: special tokens without a role.
            added: tokens with their flags, by id.
        """
        self._special_tokens = {role: str(token) for role, token in by_role.items()}
        self._extra_special_tokens = [str(token) for token in extra]
        known = self.added_tokens_decoder.values()
        known_flags = {repr(token) for token in known}
        listed = [as_added_token(added[index]) for index in sorted(added, key=int)]
        new = {token.content: token for token in listed if repr(token) not in known_flags}
        found = {token.content for token in (*known, *listed)}
        for special in (*by_role.values(), *extra):
            if str(special) not in found:
                new.setdefault(str(special), as_added_token(special, special=True))
        for name in new.keys() & set(self._special_tokens.values()):
            new[name].special = True
        self._tokenizer.add_tokens([*new.values()])

    def __getattr__(self, name: str) -> Any:
        role = name.removesuffix("_id")
        if role not in self.SPECIAL_TOKENS_ATTRIBUTES:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}", name=name, obj=self)
        token = self._special_tokens.get(role)
        return token if token is None or name == role else self.convert_tokens_to_ids(token)

    def __setattr__(self, name: str, value: Any) -> None:
        role = name.removesuffix("_id")
        if role not in self.SPECIAL_TOKENS_ATTRIBUTES:
            object.__setattr__(self, name, value)
            return
        token = value if value is None or name == role else self.convert_ids_to_tokens(value)
        if token is not None and self._tokenizer.token_to_id(str(token)) is None:
            raise ConfigurationError(f"{role} {str(token)!r} is not in the vocabulary: expected one of its tokens")
        self._special_tokens[role] = None if token is None else str(token)

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
    def extra_special_tokens_ids(self) -> list[int]:
        """The ids of the special tokens without a role; setting them makes tokens special."""
        return self.convert_tokens_to_ids(self._extra_special_tokens)

    @extra_special_tokens_ids.setter
    def extra_special_tokens_ids(self, ids: Sequence[int]) -> None:
        tokens = self.convert_ids_to_tokens(ids)
        if None in tokens:
            raise ConfigurationError(f"id {ids[tokens.index(None)]} is no token of the vocabulary of {len(self)}")
        self.add_special_tokens({"extra_special_tokens": tokens})

    additional_special_tokens_ids = extra_special_tokens_ids

    @property
    def all_special_tokens(self) -> list[str]:
        """All special tokens, each once."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self._extra_special_tokens]))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of all special tokens."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

    def add_tokens(self, new_tokens: Token | Sequence[Token], special_tokens: bool = False) -> int:
        """Add tokens that are found in a text before it is split; return how many were new.

        Args:
            new_tokens: one or several; those that are not in the vocabulary get the ids behind it. A model then needs
                `resize_token_embeddings(len(tokenizer))`.
            special_tokens: whether they are special; default False.
        """
        tokens = [new_tokens] if isinstance(new_tokens, (str, AddedToken)) else [*new_tokens]
        return self._tokenizer.add_special_tokens(tokens) if special_tokens else self._tokenizer.add_tokens(tokens)

    def add_special_tokens(
        self, special_tokens_dict: Mapping[str, Any], replace_extra_special_tokens: bool = True
    ) -> int:
        """Give roles to tokens, which are added where they are new; return how many were.

        Args:
            special_tokens_dict: tokens by role; `extra_special_tokens` or `additional_special_tokens` is a list.
            replace_extra_special_tokens: that list takes the place of the present one; default True.

        Raises:
            ConfigurationError: a key is no role.
        """
        added = 0
        for role, value in special_tokens_dict.items():
            is_list = role in ("extra_special_tokens", "additional_special_tokens")
            if not is_list and role not in self.SPECIAL_TOKENS_ATTRIBUTES:
                known = ", ".join(self.SPECIAL_TOKENS_ATTRIBUTES)
                raise ConfigurationError(f"{role!r} is no role: expected {known} or extra_special_tokens")
            added += self.add_tokens(value, special_tokens=True)
            if is_list:
                kept = [] if replace_extra_special_tokens else self._extra_special_tokens
                self._extra_special_tokens = list(dict.fromkeys([*kept, *map(str, value)]))
            else:
                setattr(self, role, value)
        return added

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """The `tokenizers.Tokenizer` that does the work."""
        return self._tokenizer

    @property
    def vocab_size(self) -> int:
        """Number of tokens without those that were added to the vocabulary; `len(tokenizer)` counts them all."""
        return self._tokenizer.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all tokens, added ones included."""
        return self._tokenizer.get_vocab(with_added_tokens=True)

    vocab = property(get_vocab)

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The tokens that are found in a text before it is split, special ones among them, by id."""
        return self._tokenizer.get_added_tokens_decoder()

    def get_added_vocab(self) -> dict[str, int]:
        """Return the ids of the tokens that are found in a text before it is split."""
        return {token.content: index for index, token in sorted(self.added_tokens_decoder.items())}

    added_tokens_encoder = property(get_added_vocab)

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Return the id of a token, or of each of a list; of an unknown one that of `unk_token`, or None."""
        if tokens is None:
            return None
        if not isinstance(tokens, str):
            return [self.convert_tokens_to_ids(token) for token in tokens]
        index = self._tokenizer.token_to_id(tokens)
        unknown = self._special_tokens.get("unk_token")
        return self._tokenizer.token_to_id(unknown) if index is None and unknown is not None else index

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Return the token of an id, or of each of a list; None for an id without one.

        Args:
            ids: an id, or a list, array or tensor of ids.
            skip_special_tokens: leave them out of a list; default False.
        """
        if isinstance(ids, int):
            return self._tokenizer.id_to_token(ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else ()
        return [self._tokenizer.id_to_token(int(index)) for index in ids if int(index) not in skipped]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Return the text that tokens make, such as "embedding" of "em", "##bed", "##ding"."""
        decoder = self._tokenizer.decoder
        return " ".join(tokens) if decoder is None else decoder.decode(list(tokens))

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many special tokens go around a text, or a pair."""
        return self._tokenizer.num_special_tokens_to_add(pair)


def as_added_token(token: Token | Mapping[str, Any], **flags: bool) -> AddedToken:
    """Return a token, as files or callers give it, with its flags.

    Args:
        token: its name, an object, or the dictionary of one.
        **flags: those of a token of which only the name is known.
    """
    if isinstance(token, Mapping):
        return AddedToken(**{key: value for key, value in token.items() if key not in ("__type", "id")})
    return token if isinstance(token, AddedToken) else AddedToken(token, **flags)


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Turn whatever the `tokenizers` library and third parties' files raise into a CheckpointError that begins so.

    The library has no class of its own for its errors, and its panics are not even of class Exception.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise CheckpointError(f"{what}: {str(error) or type(error).__name__}") from error
