"""Texts that are hard on tokenizers, and folders with tiny vocabularies for tests; all from fixed seeds."""

import json
import random
from pathlib import Path

WORDS = (
    "the a red green blue house river bridge cat dog bird sees finds likes never often under over near quick slow 1 22 "
    "333 2,000 7.5 un##do work##ing play##ed naïve café über straße coöperate resumé it's don't they're mother-in-law"
).split()

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# Strings that an implementation may well get wrong, each by itself and as a part of others.
PARTS = (
    *("", " ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u2029"),
    *("\u200b", "\u200d", "\u2060", "\u3000", "\ufeff", "\xad", "\u180e", "\u061c", "\u202e", "\u2066"),
    *("\x00", "\x01", "\x07", "\x1b[31m", "\x7f", "\x80", "\x9f", "\ufffd", "\ufffe", "\U0010ffff", "\ue000"),
    *("👍", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "1️⃣", "☃", "🤷🏻‍♀️"),
    *("中文", "日本語テスト", "ﾊﾝｶｸ", "ｆｕｌｌ", "한국어", "한국어", "𠀀𪛖", "〇", "。、", "々"),
    *(
        "é",
        "e\u0301",
        "ﬁ",
        "ﬃ",
        "Å",
        "A\u030a",
        "ǆ",
        "ñ",
        "n\u0303",
        "ṩ",
        "s\u0323\u0307",
        "s\u0307\u0323",
        "½",
        "①",
        "Ⅷ",
    ),
    *("z\u0301\u0300\u0302\u0303\u0304" * 3, "\u0301", "İ", "ı", "ß", "ẞ", "Σίσυφος", "ς", "ΑΣ", "Ǆ", "ŉ", "K", "Å"),
    *("שלום", "مرحبا", "لِلّٰهِ", "سلام\u200cها", "हिन्दी", "ไทยภาษา", "தமிழ்", "Привет", "ё", "Ελλάδα", "ខ្មែរ"),
    *(
        "[SEP]",
        "[CLS]",
        "[MASK]",
        "[PAD]",
        "[UNK]",
        "[sep]",
        "[ SEP ]",
        "<unk>",
        "<pad>",
        "</s>",
        "[SEP][SEP]",
        "x[MASK]y",
    ),
    *(
        "##ing",
        "##",
        "#",
        "▁",
        "▁the",
        "``quoted''",
        "''",
        "`",
        "$1,000.50",
        "2,000",
        "3,5",
        "9,",
        ",9",
        "€5",
        "£7",
        "°C",
    ),
    *("...", "…", "--", "—", "(a)", "{}", "\\n", "'s", "’s", "“x”", "a@b.co", "http://x.y/z?a=1&b=2", "C++", "<br />"),
    *("x" * 100, "x" * 101, "é" * 60, "ab" * 150, "中" * 120, "\u0301" * 120, "1" * 250, "!" * 130, "👍" * 110),
)


def hard_texts(count: int, seed: int, words: tuple[str, ...] | list[str] = tuple(WORDS)) -> list[str]:
    """`count` strings: every part alone, mixtures of parts and words, and random characters of all of Unicode."""
    rng = random.Random(seed)
    texts = [*PARTS, *(f"{part}{part}" for part in PARTS), *(f"a {part} b" for part in PARTS)]
    texts += [f"the{part}house" for part in PARTS]
    while len(texts) < count:
        kind = rng.random()
        if kind < 0.6:
            pieces = [rng.choice(PARTS) if rng.random() < 0.3 else rng.choice(words) for _ in range(rng.randint(1, 25))]
            text = "".join(piece + rng.choice((" ", " ", " ", "", "  ", ", ", ".")) for piece in pieces)
        elif kind < 0.8:
            text = " ".join(rng.choice(words) for _ in range(rng.randint(1, 60)))
        else:
            text = "".join(_character(rng) for _ in range(rng.randint(1, 30)))
        texts.append(rng.choice((str, str.upper, str.title, str.swapcase))(text))
    return texts[:count]


def _character(rng: random.Random) -> str:
    """Any character but half of a surrogate pair; the first plane and its beginning are likelier."""
    while True:
        point = rng.randrange(rng.choice((0x80, 0x250, 0x3000, 0x10000, 0x110000)))
        if not 0xD800 <= point <= 0xDFFF:
            return chr(point)


def write_vocabulary(folder: Path) -> Path:
    """Write a tiny vocab.txt, cased, with pieces inside words and a few characters; return the folder."""
    tokens = dict.fromkeys([*SPECIAL, *"abcdefghijklmnopqrstuvwxyzE.,'-中文é"])
    for word in WORDS:
        head, _, tail = word.partition("##")
        tokens |= dict.fromkeys([head, head.title(), *([f"##{tail}"] if tail else [])])
    tokens |= dict.fromkeys(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz123")
    return write_files(folder, {"vocab.txt": "".join(f"{token}\n" for token in tokens)})


def write_files(folder: Path, files: dict[str, str | bytes | dict]) -> Path:
    """Write files into a folder: text, bytes, or what becomes JSON; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def train_sentencepiece(folder: Path, **options) -> Path:
    """Train a tiny spiece.model with ALBERT's special pieces; return the folder."""
    import sentencepiece

    rng = random.Random(5)
    lines = [" ".join(rng.choice(WORDS).replace("##", "") for _ in range(12)).lower() for _ in range(400)]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "spiece.model").open("wb") as file:
        settings = {
            "vocab_size": 150,
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "pad_piece": "<pad>",
            "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
            "user_defined_symbols": ["(", ")", '"', "-", ".", "–", "£", "€"],
            "num_threads": 1,
            "minloglevel": 2,
            "hard_vocab_limit": False,
        }
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines), model_writer=file, **(settings | options)
        )
    return folder


def train_byte_level_bpe(folder: Path) -> Path:
    """Train a tiny vocab.json and merges.txt with RoBERTa's special tokens; return the folder."""
    from tokenizers import ByteLevelBPETokenizer

    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    lines = [*hard_texts(600, seed=3), *(f"{word} {word}s".replace("##", "") for word in WORDS * 5)]
    trained.train_from_iterator(lines, vocab_size=700, min_frequency=2, special_tokens=special, show_progress=False)
    trained.save_model(str(folder))
    return folder
