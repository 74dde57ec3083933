"""GLUE on disk: our own layout, the official folders in miniature, and what is said when something is missing."""

import gzip
import json
import math

import pytest

from glue.cli.arguments import RunArguments
from glue.data.loading import load_splits
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError

# Hand-made files with the columns of the official ones: path, content
OFFICIAL_FILES = {
    "CoLA/train.tsv": 'gj04\t1\t\tThe "cat" sat.\nbc81\t0\t*\tCat the sat.\n',
    "CoLA/dev.tsv": "gj04\t0\t*\tSat cat.\n",
    "CoLA/test.tsv": "index\tsentence\n0\tIs it?\n",
    "SST-2/train.tsv": "sentence\tlabel\ngood fun \t1\n",
    "SST-2/dev.tsv": "sentence\tlabel\ndull \t0\n",
    "SST-2/test.tsv": "index\tsentence\n0\tunseen\n",
    "MRPC/train.tsv": '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said "no .\tNo , he said .\n',
    "MRPC/dev.tsv": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tOne .\tTwo .\n",
    "MRPC/test.tsv": "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tThree .\tFour .\n",
    "STS-B/train.tsv": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
    "0\tnews\tf\t2012\t1\tnone\tnone\tA plane.\tAn air plane.\t4.250\n",
    "STS-B/dev.tsv": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
    "0\tnews\tf\t2012\t1\tnone\tnone\tA dog.\tA cat.\t0.000\n",
    "STS-B/test.tsv": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\n"
    "0\tnews\tf\t2012\t1\tnone\tnone\tA man.\tA woman.\n",
    "QQP/train.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    "1\t1\t2\tHow?\tIn what way?\t1\n2\t3\t4\tcut short\n3\t5\t6\tWhy?\tWho?\t0\n",
    "QQP/dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\tHow?\tWhen?\t0\n",
    "QQP/test.tsv": "id\tquestion1\tquestion2\n0\tWhat?\tWhich?\n",
    "MNLI/train.tsv": "index\tpromptID\tsentence1\tsentence2\tlabel1\tgold_label\n"
    "0\t1\tIt rains.\tIt is wet.\tentailment\tentailment\n1\t2\tIt rains.\tIt is dry.\tcontradiction\tcontradiction\n",
    "MNLI/dev_matched.tsv": "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\tA.\tB.\tneutral\tneutral\n",
    "MNLI/dev_mismatched.tsv": "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\tC.\tD.\tneutral\tcontradiction\n",
    "MNLI/test_matched.tsv": "index\tsentence1\tsentence2\n0\tE.\tF.\n",
    "MNLI/test_mismatched.tsv": "index\tsentence1\tsentence2\n0\tG.\tH.\n",
    "QNLI/train.tsv": "index\tquestion\tsentence\tlabel\n0\tWho?\tHe.\tentailment\n1\tWhen?\tShe.\tnot_entailment\n",
    "QNLI/dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWho?\tIt.\tnot_entailment\n",
    "QNLI/test.tsv": "index\tquestion\tsentence\n0\tWhere?\tThere.\n",
    "RTE/train.tsv": "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tnot_entailment\n",
    "RTE/dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tA.\tB.\tentailment\n",
    "RTE/test.tsv": "index\tsentence1\tsentence2\n0\tA.\tB.\n",
    "WNLI/train.tsv": "index\tsentence1\tsentence2\tlabel\n0\tIt fell.\tThe cup fell.\t1\n",
    "WNLI/dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tIt fell.\tThe man fell.\t0\n",
    "WNLI/test.tsv": "index\tsentence1\tsentence2\n0\tIt fell.\tIt.\n",
}
# task, split, columns that these files stand for
OFFICIAL = [
    ("cola", "train", {"sentence": ['The "cat" sat.', "Cat the sat."], "label": [1, 0]}),
    ("cola", "validation", {"sentence": ["Sat cat."], "label": [0]}),
    ("cola", "test", {"sentence": ["Is it?"], "label": [-1]}),
    ("sst2", "train", {"sentence": ["good fun "], "label": [1]}),
    ("sst2", "test", {"sentence": ["unseen"], "label": [-1]}),
    ("mrpc", "train", {"sentence1": ['He said "no .'], "sentence2": ["No , he said ."], "label": [1]}),
    ("mrpc", "validation", {"sentence1": ["One ."], "sentence2": ["Two ."], "label": [0]}),
    ("mrpc", "test", {"sentence1": ["Three ."], "sentence2": ["Four ."], "label": [-1]}),
    ("stsb", "train", {"sentence1": ["A plane."], "sentence2": ["An air plane."], "label": [4.25]}),
    ("stsb", "validation", {"sentence1": ["A dog."], "sentence2": ["A cat."], "label": [0.0]}),
    ("qqp", "train", {"question1": ["How?", "Why?"], "question2": ["In what way?", "Who?"], "label": [1, 0]}),
    ("qqp", "test", {"question1": ["What?"], "question2": ["Which?"], "label": [-1]}),
    ("mnli", "train", {"premise": ["It rains."] * 2, "hypothesis": ["It is wet.", "It is dry."], "label": [0, 2]}),
    ("mnli", "validation_matched", {"premise": ["A."], "hypothesis": ["B."], "label": [1]}),
    ("mnli", "validation_mismatched", {"premise": ["C."], "hypothesis": ["D."], "label": [2]}),
    ("mnli", "test_matched", {"premise": ["E."], "hypothesis": ["F."], "label": [-1]}),
    ("mnli", "test_mismatched", {"premise": ["G."], "hypothesis": ["H."], "label": [-1]}),
    ("qnli", "train", {"question": ["Who?", "When?"], "sentence": ["He.", "She."], "label": [0, 1]}),
    ("qnli", "test", {"question": ["Where?"], "sentence": ["There."], "label": [-1]}),
    ("rte", "train", {"sentence1": ["A."], "sentence2": ["B."], "label": [1]}),
    ("rte", "validation", {"sentence1": ["A."], "sentence2": ["B."], "label": [0]}),
    ("wnli", "train", {"sentence1": ["It fell."], "sentence2": ["The cup fell."], "label": [1]}),
    ("wnli", "validation", {"sentence1": ["It fell."], "sentence2": ["The man fell."], "label": [0]}),
]


@pytest.fixture
def official(tmp_path):
    for name, content in OFFICIAL_FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def arguments(folder, task="rte", **settings):
    return RunArguments(model_name_or_path="m", task_name=task, data_dir=str(folder), **settings)


def write(folder, name, rows):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


@pytest.mark.parametrize(
    ("task", "split", "columns"), OFFICIAL, ids=lambda value: value if isinstance(value, str) else ""
)
def test_official_folders(task, split, columns, official):
    _, tables = load_splits(arguments(official, task, do_predict=True, pred_dir="p"))
    assert tables[split].columns == columns
    assert tables[split].source.startswith(str(official))


def test_scores_of_an_official_test_split_are_missing(official):
    _, tables = load_splits(arguments(official, "stsb", do_predict=True, pred_dir="p"))
    assert tables["test"].columns["sentence1"] == ["A man."] and math.isnan(tables["test"].columns["label"][0])


PAIR = {"sentence1": "a", "sentence2": "b"}
# file name of the training split, written how
LAYOUTS = ["rte/train.jsonl", "rte/train.jsonl.gz", "rte/train.parquet", "rte/train-00000-of-00001.parquet"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_own_layout(name, tmp_path):
    import pyarrow
    import pyarrow.parquet

    rows = [{"idx": 0, **PAIR, "label": 1}, {"idx": 1, **PAIR, "label": 0}]
    write(tmp_path, "rte/validation.jsonl", rows[:1])
    if name.endswith("parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / name)
    else:
        write(tmp_path, name, rows)
    task, tables = load_splits(arguments(tmp_path))
    assert task is GLUE_TASKS["rte"] and list(tables) == ["train", "validation"]
    assert tables["train"].columns == {"sentence1": ["a", "a"], "sentence2": ["b", "b"], "label": [1, 0]}


def test_parts_of_a_split_are_joined_in_order(tmp_path):
    import pyarrow
    import pyarrow.parquet

    write(tmp_path, "rte/validation.jsonl", [{**PAIR, "label": 1}])
    for part in (1, 0):
        table = pyarrow.Table.from_pylist([{"sentence1": f"part {part}", "sentence2": "b", "label": part}])
        pyarrow.parquet.write_table(table, tmp_path / "rte" / f"train-0000{part}-of-00002.parquet")
    train = load_splits(arguments(tmp_path))[1]["train"]
    assert (train.columns["sentence1"], train.columns["label"]) == (["part 0", "part 1"], [0, 1])
    assert train.source == str(tmp_path / "rte")


# task, a label of the validation split, its id or the message
LABELS = [
    ("rte", 1, 1),
    ("rte", "not_entailment", 1),
    ("rte", "0", 0),
    ("rte", 2, "row 1 (line 1): label 2, expected one of entailment, not_entailment, 0, 1"),
    ("rte", -1, "label -1, expected one of"),
    ("rte", None, "label None, expected one of"),
    ("rte", 1.0, "label 1.0, expected one of"),
    ("rte", True, "label True, expected one of"),
    ("rte", "yes", "label 'yes', expected one of"),
    ("stsb", 5, 5.0),
    ("stsb", "2.5", 2.5),
    ("stsb", math.nan, "label nan, expected a score"),
    ("stsb", "high", "label 'high', expected a score"),
    ("stsb", None, "label None, expected a score"),
    ("stsb", -1.0, "label -1.0, expected a score"),
]


@pytest.mark.parametrize(("task", "label", "expected"), LABELS, ids=str)
def test_labels(task, label, expected, tmp_path):
    write(tmp_path, f"{task}/validation.jsonl", [{**PAIR, "label": label}])
    args = arguments(tmp_path, task, do_eval=True)
    if isinstance(expected, str):
        with pytest.raises(UsageError) as error:
            load_splits(args)
        assert expected in str(error.value)
    else:
        assert load_splits(args)[1]["validation"].columns["label"] == [expected]


@pytest.mark.parametrize("label", [{}, {"label": -1}, {"label": None}], ids=str)
def test_labels_of_a_test_split_may_be_missing(label, tmp_path):
    write(tmp_path, "rte/test.jsonl", [{**PAIR, **label}])
    args = arguments(tmp_path, do_train=False, do_eval=False, do_predict=True, pred_dir="p")
    assert load_splits(args)[1]["test"].columns["label"] == [-1]


# files that are there, what is to be done, what the message says
MISSING = [
    ([], {}, "rte has no train split: looked for rte/train.jsonl[.gz], rte/train.parquet and RTE/train.tsv in"),
    (["train"], {}, "rte has no validation split: looked for rte/validation.jsonl[.gz]"),
    (
        ["train", "validation"],
        {"do_predict": True, "pred_dir": "p"},
        "rte has no test split: looked for rte/test.jsonl",
    ),
]


@pytest.mark.parametrize(("splits", "settings", "message"), MISSING, ids=["train", "validation", "test"])
def test_a_missing_split_is_named_with_the_places(splits, settings, message, tmp_path):
    for split in splits:
        write(tmp_path, f"rte/{split}.jsonl", [{**PAIR, "label": 1}])
    with pytest.raises(UsageError) as error:
        load_splits(arguments(tmp_path, **settings))
    assert message in str(error.value) and str(tmp_path) in str(error.value)


def test_splits_that_are_not_used_may_be_missing(tmp_path):
    write(tmp_path, "rte/validation.jsonl", [{**PAIR, "label": 1}] * 3)
    assert len(load_splits(arguments(tmp_path, do_eval=True))[1]["validation"]) == 3


def test_one_of_two_test_splits_will_do_but_not_one_of_two_validation_splits(tmp_path):
    row = {"premise": "a", "hypothesis": "b", "label": 1}
    write(tmp_path, "mnli/validation_matched.jsonl", [row])
    write(tmp_path, "mnli/test_mismatched.jsonl", [row])
    args = arguments(tmp_path, "mnli", do_train=False, do_eval=False, do_predict=True, pred_dir="p")
    assert list(load_splits(args)[1]) == ["test_mismatched"]
    with pytest.raises(UsageError, match="mnli has no validation_mismatched split"):
        load_splits(arguments(tmp_path, "mnli", do_eval=True))


# task, file, content, what the message says
BROKEN = [
    ("cola", "CoLA/train.tsv", "gj04\t1\t\tFine.\ngj04\tx\t\tBad.\n", "row 2 (line 2): label 'x', expected one of"),
    ("cola", "CoLA/train.tsv", "source\tlabel\tx\tsentence\n", "row 1 (line 1): label 'label', expected one of"),
    ("sst2", "SST-2/train.tsv", "text\tlabel\ngood\t1\n", "no column 'sentence' (columns there: text, label)"),
    ("sst2", "SST-2/train.tsv", "sentence\tlabel\n", "no rows"),
    ("sst2", "SST-2/train.tsv", "", "the file is empty"),
    ("sst2", "sst2/train.jsonl", '{"text": "a", "label": 1}\n', "no column 'sentence' (columns there: text, label)"),
    ("sst2", "sst2/train.jsonl", '{"sentence": "a"}\n', "no column 'label' (columns there: sentence)"),
    (
        "sst2",
        "sst2/train.jsonl",
        '{"sentence": "a", "label": 1}\n{"sentense": "b", "label": 1}\n',
        "row 2 (line 2): column 'sentence' is missing",
    ),
]


@pytest.mark.parametrize(("task", "name", "content", "message"), BROKEN, ids=str)
def test_broken_files(task, name, content, message, tmp_path):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError) as error:
        load_splits(arguments(tmp_path, task, do_train=True))
    assert str(tmp_path / name) in str(error.value) and message in str(error.value)


@pytest.mark.parametrize("task", ["qqp", "rte"])
def test_a_row_cut_short_in_a_test_split_is_an_error_that_names_it(task, tmp_path):
    columns, folder = GLUE_TASKS[task].text_columns, tmp_path / GLUE_TASKS[task].official
    folder.mkdir()
    header = "\t".join(["id", *columns])
    (folder / "test.tsv").write_text(f"{header}\n0\ta\tb\n1\tcut short\n2\te\tf\n")
    args = arguments(tmp_path, task, do_train=False, do_eval=False, do_predict=True, pred_dir="p")
    with pytest.raises(UsageError, match=r"test\.tsv, row 2 \(line 3\): broken row with 2 fields"):
        load_splits(args)


def test_rows_cut_short_elsewhere_are_counted(official, capsys):
    load_splits(arguments(official, "qqp"))
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note")]
    assert notes == [
        f"Note: {official / 'QQP' / 'train.tsv'}: 1 of 3 rows left out, as they do not have the 6 fields of the "
        "header; the first is row 2"
    ]


# file of GLUE's diagnostics, content
DIAGNOSTICS = [
    ("diagnostic/diagnostic.tsv", "index\tsentence1\tsentence2\n0\tA.\tB.\n"),
    ("AX/AX.tsv", "index\tsentence1\tsentence2\n0\tA.\tB.\n"),
    ("ax/test.jsonl", '{"premise": "A.", "hypothesis": "B.", "idx": 0, "label": -1}\n'),
]


@pytest.mark.parametrize(("name", "content"), DIAGNOSTICS, ids=[row[0] for row in DIAGNOSTICS])
def test_the_diagnostics_are_a_test_split_of_mnli(name, content, tmp_path, capsys):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(content)
    args = arguments(tmp_path, "mnli", do_train=False, do_eval=False, do_predict=True, pred_dir="p")
    tables = load_splits(args)[1]
    assert tables["test_ax"].columns == {"premise": ["A."], "hypothesis": ["B."], "label": [-1]}
    out = capsys.readouterr().out
    assert "no predictions of test_matched, which is not there" in out and "of test_ax" not in out


# names of the parts that are there, what the message says
SHARDS = [
    (["train-00000-of-00002"], "train-00000-of-00002.parquet is there, but shard 1 of 2 is missing (-00001-of-00002"),
    (["train-00001-of-00003", "train-00002-of-00003"], "but shard 0 of 3 is missing"),
    (["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"], "parts of two copies"),
]


@pytest.mark.parametrize(("names", "message"), SHARDS, ids=["last", "first", "two copies"])
def test_parts_of_a_split_have_to_be_complete(names, message, tmp_path):
    import pyarrow
    import pyarrow.parquet

    write(tmp_path, "rte/validation.jsonl", [{**PAIR, "label": 1}])
    for name in names:
        table = pyarrow.Table.from_pylist([{**PAIR, "label": 0}])
        pyarrow.parquet.write_table(table, tmp_path / "rte" / f"{name}.parquet")
    with pytest.raises(UsageError) as error:
        load_splits(arguments(tmp_path))
    assert message in str(error.value) and str(tmp_path) in str(error.value)


def test_test_rows_keep_the_numbers_of_the_file(tmp_path):
    write(tmp_path, "rte/test.jsonl", [{**PAIR, "idx": 4}, {**PAIR, "idx": 2}])
    args = arguments(tmp_path, do_train=False, do_eval=False, do_predict=True, pred_dir="p")
    assert load_splits(args)[1]["test"].row_numbers == [4, 2]


def test_one_line_says_what_is_read_as_what(official, capsys):
    load_splits(arguments(official, "mnli"))
    load_splits(arguments(official, "stsb", do_train=True))
    assert capsys.readouterr().out.splitlines() == [
        "Data: premise and hypothesis as a pair; classification, 3 classes in train: entailment (1), neutral (0), "
        "contradiction (1)",
        "Data: sentence1 and sentence2 as a pair; regression, 4.25 to 4.25 in train",
    ]


def test_the_environment_names_a_folder_too(official, monkeypatch):
    monkeypatch.setenv("GLUE_DATA_DIR", str(official))
    _, tables = load_splits(RunArguments(model_name_or_path="m", task_name="wnli"))
    assert tables["train"].source == str(official / "WNLI" / "train.tsv")


def test_the_environment_may_say_it_from_the_home_folder_on(official, monkeypatch):
    monkeypatch.setenv("HOME", str(official.parent))
    monkeypatch.setenv("GLUE_DATA_DIR", f"~/{official.name}")
    _, tables = load_splits(RunArguments(model_name_or_path="m", task_name="wnli"))
    assert tables["train"].source == str(official / "WNLI" / "train.tsv")


def test_the_command_line_goes_before_the_environment(official, tmp_path, monkeypatch):
    monkeypatch.setenv("GLUE_DATA_DIR", str(official))
    other = tmp_path / "other"
    write(other, "wnli/validation.jsonl", [{**PAIR, "label": 1}])
    _, tables = load_splits(arguments(other, "wnli", do_eval=True))
    assert tables["validation"].source == str(other / "wnli" / "validation.jsonl")
