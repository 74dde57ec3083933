"""What is fuzzed: for each loader and reader a strategy of inputs, and the call that takes them or says why not."""

import gzip
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import runs
from hypothesis import strategies as st

from campaigns.mutations import json_values, mutated_bytes, mutated_json


@dataclass(frozen=True)
class Target:
    """Something to be fuzzed.

    Attributes:
        prepare: called with an empty folder; returns the strategy of the inputs and the function to call with each.
        share: part of a campaign's inputs that goes to it.
    """

    prepare: Callable[[Path], tuple[st.SearchStrategy, Callable[[object], object]]]
    share: float


def _positions(folder: Path):
    from transformers.contranorm_sites import parse_positions

    digits = st.text("0123456789 ,-+.none", max_size=12) | st.text(max_size=12) | json_values
    return st.tuples(digits, st.sampled_from(["bert", "albert"])), lambda value: parse_positions(*value)


def _command_line(folder: Path):
    from glue.cli.arguments import RunArguments, parse_args
    from glue.errors import UsageError

    flags = st.sampled_from([f"--{field.name}" for field in fields(RunArguments)] + ["--no-do_train", "--x"])
    values = st.sampled_from(
        ["1", "0", "-1", "nan", "1e999", "rte", "epoch", "", "demo", "7", "0x1", "9" * 30, "\x1b["]
    )
    words = st.lists(flags | flags | values | st.text(max_size=5), max_size=7)

    def call(argv: list[str]) -> None:
        import contextlib
        import io

        errors = io.StringIO()
        try:
            with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
                parse_args(argv)
        except SystemExit as stop:
            lines = errors.getvalue().splitlines()
            if stop.code and not (stop.code == 2 and len(lines) == 1 and lines[0].isprintable()):
                raise AssertionError(f"not one line: {lines}") from None
            raise UsageError("refused") from None

    return words, call


def _config(kind: str):
    def prepare(folder: Path):
        from transformers import AutoConfig

        checkpoint = runs.make_checkpoint(folder / "checkpoint", kind)
        base = json.loads((checkpoint / "config.json").read_text())
        base |= {"pruned_heads": {}, "is_decoder": False, "torch_dtype": "float32", "num_labels": 2, "center": True}

        def call(content: bytes) -> None:
            (checkpoint / "config.json").write_bytes(content)
            config = AutoConfig.from_pretrained(checkpoint)
            config.to_json_string()

        return mutated_json(base), call

    return prepare


def _whole_checkpoint(folder: Path):
    """Config and weights together, as a stranger's folder has them: up to a forward pass."""
    import torch

    from transformers import AutoModelForSequenceClassification

    checkpoint = runs.make_checkpoint(folder / "checkpoint")
    base = json.loads((checkpoint / "config.json").read_text())
    weights = (checkpoint / "model.safetensors").read_bytes()
    ids = torch.tensor([[2, 5, 6, 3]])

    def call(value: tuple[bytes, bytes, bool]) -> None:
        config, tensors, fresh = value
        (checkpoint / "config.json").write_bytes(config)
        (checkpoint / "model.safetensors").write_bytes(tensors)
        net = AutoModelForSequenceClassification.from_pretrained(checkpoint, ignore_mismatched_sizes=fresh)
        if net.config.vocab_size > 6 and net.config.max_position_embeddings > 3:
            with torch.inference_mode():
                net(ids)

    good = st.just(json.dumps(base).encode())
    return st.tuples(mutated_json(base) | good, st.just(weights) | mutated_bytes(weights), st.booleans()), call


def _safetensors(folder: Path):
    from transformers.utils.weight_files import open_file

    weights = (runs.make_checkpoint(folder / "checkpoint") / "model.safetensors").read_bytes()
    length = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + length])
    first = dict(list(header.items())[:4])

    def with_header(text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text + weights[8 + length :][:4096]

    def call(content: bytes) -> None:
        (folder / "x.safetensors").write_bytes(content)
        for tensor in open_file(str(folder / "x.safetensors")).values():
            tensor.read()

    head = weights[: 8 + length + 64]
    return mutated_bytes(weights, head, head) | mutated_json(first).map(with_header), call


def _pickles(folder: Path):
    import torch

    from transformers.utils.weight_files import open_file

    tensors = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2, dtype=torch.float16)}
    torch.save(tensors, folder / "new.bin")
    torch.save(tensors, folder / "old.bin", _use_new_zipfile_serialization=False)
    plain = [pickle.dumps({"a": 1, "b": [2.5, "x"]}, protocol) for protocol in (0, 2, 4)]
    bases = [(folder / "new.bin").read_bytes(), (folder / "old.bin").read_bytes(), (folder / "old.bin").read_bytes()]
    # Of a pickle, a few operations and arguments at random are more to the point than bytes are.
    codes = [getattr(pickle, name) for name in dir(pickle) if isinstance(getattr(pickle, name), bytes)]
    parts = st.sampled_from([code for code in codes if len(code) == 1]) | st.binary(max_size=6)
    parts |= st.sampled_from([b"ctorch._utils\n_rebuild_tensor_v2\n", b"cbuiltins\nbytearray\n", b"cos\nsystem\n"])
    parts |= st.sampled_from(
        [b"ccollections\nOrderedDict\n", b"\x8a\x08" + b"\x7f" * 8, b"X\xff\xff\xff\x7f", b"(", b"."]
    )
    written = st.lists(parts, max_size=20).map(lambda parts: b"\x80\x02" + b"".join(parts) + b".")

    def call(content: bytes) -> None:
        (folder / "x.bin").write_bytes(content)
        for tensor in open_file(str(folder / "x.bin")).values():
            tensor.read()

    return mutated_bytes(*bases, *plain) | written, call


def _indices(folder: Path):
    from transformers.utils.weight_files import open_weights

    checkpoint = runs.make_checkpoint(folder / "checkpoint")
    (checkpoint / "model.safetensors").rename(checkpoint / "shard.safetensors")
    base = {"metadata": {"total_size": 1}, "weight_map": {"classifier.bias": "shard.safetensors"}}
    names = st.sampled_from(
        ["shard.safetensors", "./shard.safetensors", "../../etc/passwd", "config.json", "x/../y", "."]
    )
    maps = st.dictionaries(st.sampled_from(["classifier.bias", "a"]), names | json_values, max_size=3)

    def call(content: bytes) -> None:
        (checkpoint / "model.safetensors.index.json").write_bytes(content)
        for tensor in open_weights(str(checkpoint)).values():
            tensor.read()

    return mutated_json(base) | maps.map(lambda shards: json.dumps({"weight_map": shards}).encode()), call


def _tokenizers(folder: Path):
    from transformers import AutoTokenizer, BertTokenizerFast

    checkpoint = runs.make_checkpoint(folder / "checkpoint")
    BertTokenizerFast.from_pretrained(checkpoint).save_pretrained(checkpoint)
    names = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    good = {name: (checkpoint / name).read_bytes() for name in [*names, "vocab.txt"]}
    good["added_tokens.json"] = b'{"[NEW]": 19}'
    settings = {"do_lower_case": True, "model_max_length": 32, "added_tokens_decoder": {"0": {"content": "[PAD]"}}}
    settings |= {"truncation_side": "left", "extra_special_tokens": ["[A]"], "tokenizer_class": "BertTokenizer"}
    settings |= {"padding_side": "right", "clean_up_tokenization_spaces": True, "mask_token": {"content": "[MASK]"}}
    damaged = {name: mutated_json(json.loads(good[name])) for name in good if name.endswith(".json")}
    damaged["tokenizer_config.json"] |= mutated_json(json.loads(good["tokenizer_config.json"]) | settings)
    damaged["vocab.txt"] = mutated_bytes(good["vocab.txt"])
    kinds = st.sampled_from(list(damaged)).flatmap(lambda name: st.tuples(st.just(name), damaged[name], st.booleans()))

    def call(value: tuple[str, bytes, bool]) -> None:
        name, content, alone = value
        for other, text in good.items():
            (checkpoint / other).write_bytes(text)
        if alone and name != "tokenizer.json":
            (checkpoint / "tokenizer.json").unlink()
        (checkpoint / name).write_bytes(content)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        tokenizer("red house", "blue \U0001f600 stone", truncation=True, max_length=8)

    return kinds, call


def _sentencepiece(folder: Path):
    import sentencepiece

    from transformers import AlbertTokenizerFast

    path = folder / "spiece.model"
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(["the red house is not a river of stone", "one green house and two rivers"] * 20),
            model_writer=file,
            vocab_size=50,
            hard_vocab_limit=False,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            control_symbols=["[CLS]", "[SEP]", "[MASK]"],
            user_defined_symbols=["(", "."],
            num_threads=1,
            minloglevel=2,
        )
    content = path.read_bytes()

    def call(changed: bytes) -> None:
        path.write_bytes(changed)
        AlbertTokenizerFast.from_pretrained(folder)("red house")

    return mutated_bytes(content, content[:200]), call


_ROWS = [{"sentence": 'a "stone", é', "label": 1, "idx": 0}, {"sentence": "a\triver", "label": 0, "idx": 1}]


def _tables(suffix: str):
    def prepare(folder: Path):
        from glue.cli.arguments import RunArguments
        from glue.data.user_files import read_own_files

        path = folder / f"x{suffix}"
        if suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            bases = []
            for number, compression in enumerate(("none", "snappy", "zstd", "gzip")):
                table = pyarrow.table({key: [row[key] for row in _ROWS * 20] for key in _ROWS[0]})
                pyarrow.parquet.write_table(table, folder / str(number), compression=compression)
                bases.append((folder / str(number)).read_bytes())
        else:
            lines = "".join(json.dumps(row) + "\n" for row in _ROWS)
            texts = {
                ".csv": 'idx,sentence,label\n0,"a ""stone"", é",1\n1,a river,0\n',
                ".tsv": "idx\tsentence\tlabel\n0\ta stone\t1\n1\ta river\t0\n",
                ".jsonl": lines,
                ".json": json.dumps(_ROWS),
            }
            kind = suffix.removesuffix(".gz")
            bases = [texts[kind].encode(), *([lines.encode()] if kind == ".json" else [])]
            if suffix.endswith(".gz"):
                bases = [gzip.compress(text) for text in bases]
        strategy = mutated_bytes(*bases)
        if suffix == ".jsonl":
            strategy |= st.lists(json_values, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
            strategy |= mutated_json(_ROWS[0])
        if suffix == ".json":
            strategy |= mutated_json({"data": _ROWS})
        if suffix == ".csv":
            strategy |= st.text('ab,"\n\r\t 01', max_size=60).map(str.encode)

        def call(content: bytes) -> None:
            path.write_bytes(content)
            args = RunArguments(model_name_or_path="demo", train_file=str(path), validation_file=str(path))
            read_own_files(args, {})

        return strategy, call

    return prepare


def _run_checkpoints(folder: Path):
    """The list of checksums of a run's own checkpoint."""
    from glue.output.manifest import damage, record
    from transformers.utils.errors import CheckpointError

    (folder / "good.pt").write_bytes(b"x")
    record(folder)
    recorded = json.loads((folder / "checksums.json").read_text())

    def call(content: bytes) -> None:
        (folder / "checksums.json").write_bytes(content)
        problem = damage(folder)
        if problem is not None:
            raise CheckpointError(problem)

    return mutated_json(recorded), call


TARGETS = {
    "--pos": Target(_positions, 0.15),
    "command line": Target(_command_line, 0.05),
    "config.json of BERT": Target(_config("bert"), 0.07),
    "config.json of ALBERT": Target(_config("albert"), 0.07),
    "a whole checkpoint": Target(_whole_checkpoint, 0.03),
    "model.safetensors": Target(_safetensors, 0.10),
    "pytorch_model.bin": Target(_pickles, 0.10),
    "shard index": Target(_indices, 0.06),
    "tokenizer files": Target(_tokenizers, 0.06),
    "spiece.model": Target(_sentencepiece, 0.02),
    "checkpoint of a run": Target(_run_checkpoints, 0.04),
    "csv": Target(_tables(".csv"), 0.06),
    "tsv": Target(_tables(".tsv"), 0.03),
    "json": Target(_tables(".json"), 0.05),
    "jsonl": Target(_tables(".jsonl"), 0.05),
    "csv.gz": Target(_tables(".csv.gz"), 0.03),
    "parquet": Target(_tables(".parquet"), 0.05),
}
