"""The report of a sweep: its numbers recomputed from results.jsonl by other means, and what it may be given."""

import json
import math
import random
import re
import statistics
import time
from itertools import pairwise

import numpy as np
import pytest
import sweep_rows
from sweep_rows import row

import run_report
from reports.scores import Paired, Scores, Summary
from reports.sweep_report import write_report
from sweep.results import read_results


def tables(markdown):
    """The tables of a Markdown text by the heading before them, as lists of rows of cells; the header is the first."""
    found, heading = {}, None
    for line in markdown.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("| ") and not line.startswith("| ---"):
            cells = [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found.setdefault(heading, []).append(cells)
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of two tasks, three scales and four seeds, through the command line; results.jsonl and the tables."""
    folder = tmp_path_factory.mktemp("sweep")
    file = sweep_rows.write(
        folder / "results.jsonl", sweep_rows.grid(["cola", "rte"], [0, 0.005, 0.1], ["7"], range(4))
    )
    assert run_report.main([str(folder)]) == 0
    return file, tables((folder / "report.md").read_text())


def scores_of(file):
    """(task, scale) -> {seed: score in percent}, straight from the file."""
    scores = {}
    for line in file.read_text().splitlines():
        entry = json.loads(line)
        scores.setdefault((entry["task"], entry["scale"]), {})[entry["seed"]] = 100 * entry["score"]
    return scores


def test_the_table_of_scores_recomputed(report):
    file, found = report
    scores = scores_of(file)
    header, *lines = found["Scores"]
    assert header == ["", "cola (matthews_correlation)", "rte (accuracy)", "average", "n"]
    cells = {line[0]: line[1:] for line in lines}
    for scale, name in ((0, "plain"), (0.005, "ContraNorm scale 0.005"), (0.1, "ContraNorm scale 0.1")):
        for column, task in enumerate(("cola", "rte")):
            values = list(scores[task, scale].values())
            assert cells[name][column] == f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"
        means = [statistics.mean(scores[task, scale].values()) for task in ("cola", "rte")]
        assert cells[name][2] == f"{statistics.mean(means):.2f}" and cells[name][3] == "4"
    best = {
        task: max((0.005, 0.1), key=lambda scale: statistics.mean(scores[task, scale].values()))
        for task in ("cola", "rte")
    }
    for column, task in enumerate(best):
        assert cells["best for each task"][column] == cells[f"ContraNorm scale {best[task]:g}"][column]
        chosen = []
        for seed in range(4):
            others = {
                scale: statistics.mean(score for other, score in scores[task, scale].items() if other != seed)
                for scale in (0.005, 0.1)
            }
            chosen.append(scores[task, max(others, key=others.get)][seed])
        expected = f"{statistics.mean(chosen):.1f} ± {statistics.stdev(chosen):.1f}"
        assert cells["chosen without the seed it is scored on"][column] == expected


def test_the_paired_differences_recomputed(report):
    file, found = report
    scores = scores_of(file)
    for setting, task, mean, interval, wins in found["Difference to the plain model with the same seed"][1:]:
        scale = float(setting.rpartition(" ")[2])
        names = ("cola", "rte") if task == "average" else (task,)
        differences = [
            statistics.mean(scores[name, scale][seed] - scores[name, 0][seed] for name in names) for seed in range(4)
        ]
        assert mean == f"{statistics.mean(differences):+.2f}"
        assert wins == f"{sum(value > 0 for value in differences)} of 4"
        drawn = random.Random(0)
        means = sorted(statistics.mean(drawn.choices(differences, k=4)) for _ in range(20_000))
        low, high = map(float, interval.split(" to "))
        spread = means[-1] - means[0]
        assert low == pytest.approx(means[499], abs=0.05 * spread + 0.06)
        assert high == pytest.approx(means[-500], abs=0.05 * spread + 0.06)
    assert len(found["Difference to the plain model with the same seed"]) == 1 + 2 * 3


def test_the_bootstrap_covers_the_mean_about_as_often_as_it_says():
    """With many seeds: intervals of normal differences hold the true mean in 95 of 100 cases, give or take."""
    generator = np.random.default_rng(0)
    holds = 0
    for _ in range(150):
        paired = Paired.of(generator.normal(0.3, 1.0, size=40))
        holds += paired.low <= 0.3 <= paired.high
    assert 0.88 <= holds / 150 <= 0.99


def test_one_run_is_a_report(tmp_path):
    files = write_report([row()], tmp_path, "one")
    text = files[0].read_text()
    assert "1 run of some-bert: 1 finished" in text and tables(text)["Scores"][1] == ["plain", "60.0", "60.00", "1"]


def test_what_is_missing_or_broken_is_said_and_not_averaged(tmp_path):
    rows = [
        row(seed=1, score=0.6),
        row(seed=2, score=0.8),
        row(scale=0.1, seed=1, score=0.7),
        row(scale=0.1, seed=2, score=None, status="diverged", problem="the loss is nan", history=[]),
        row(scale=0.2, seed=1, score=0.5, degenerate=True),
        row(task="cola", seed=1, score=None, status="failed", problem="no such file", history=[], losses=[]),
    ]
    text = write_report(rows, tmp_path, "broken")[0].read_text()
    assert "4 finished, 1 diverged, 1 failed, 0 pruned; 6 missing" in text
    assert "1 of the finished runs predict one class" in text
    found = tables(text)
    cells = {line[0]: line[1:] for line in found["Scores"]}
    assert cells["plain"][1] == "70.0 ± 14.1" and cells["plain"][0] == "" and cells["plain"][2] == ""
    assert cells["ContraNorm scale 0.1"][1] == "70.0" and cells["ContraNorm scale 0.1"][3] == "0 to 1"
    problems = {(line[0], line[1]): line[2] for line in found["Problems"][1:]}
    assert problems["rte scale 0.1 seed 2", "diverged"] == "the loss is nan"
    assert problems["cola scale 0.0 seed 1", "failed"] == "no such file"
    assert ("rte scale 0.2 seed 1", "degenerate") in problems and sum(what == "missing" for _, what in problems) == 6


def test_the_best_setting_needs_as_many_seeds_as_the_fullest():
    rows = [row(seed=seed, score=0.5) for seed in (1, 2)]
    rows += [row(scale=0.1, seed=seed, score=0.6) for seed in (1, 2)] + [row(scale=0.2, seed=1, score=0.9)]
    scores = Scores(rows)
    best = scores.best("rte", scores.plain(scores.variants[0]))
    assert dict(best)["scale"] == 0.1


def test_other_settings_that_vary_have_plain_models_of_their_own():
    rows = []
    for rate, lift in ((1e-5, 0.0), (1e-4, 0.1)):
        for scale in (0.0, 0.1):
            entry = row(scale=scale, score=0.5 + lift + scale)
            entry["flags"]["learning_rate"] = rate
            rows.append(entry)
    scores = Scores(rows)
    assert [scores.label(variant) for variant in scores.variants] == [
        "plain learning_rate 0.0001",
        "ContraNorm scale 0.1 learning_rate 0.0001",
        "plain learning_rate 1e-05",
        "ContraNorm scale 0.1 learning_rate 1e-05",
    ]
    for variant in scores.variants:
        difference = scores.paired(lambda other: scores.of("rte", other), variant).mean
        assert difference == pytest.approx(0.1 if dict(variant)["scale"] else 0.0)


def test_summaries_of_few_scores():
    assert Summary.of([]).n == 0 and math.isnan(Summary.of([]).mean)
    assert math.isnan(Summary.of([0.5]).deviation)
    assert math.isnan(Paired.of([0.5]).low) and Paired.of([]).n == 0


HOSTILE = "<script>alert('x')</script> | `a` [b](http://c) \x1b[31m"


def test_text_from_results_is_text_in_the_report(tmp_path):
    entry = row(scale=0.1, title=HOSTILE, problem=HOSTILE, status="failed", score=None, model=HOSTILE)
    markdown, page = write_report([row(), entry], tmp_path, HOSTILE)
    html = page.read_text()
    assert "<script" not in html and "\x1b" not in html + markdown.read_text()
    assert "&lt;script&gt;" in html
    problems = tables(markdown.read_text())["Problems"]
    assert len(problems[1]) == 3 and "<script" not in markdown.read_text()
    assert not re.search(r"(?<!\\)\]\(http", markdown.read_text())


def test_the_page_needs_no_network(tmp_path):
    page = write_report(sweep_rows.grid(["rte", "cola"], [0, 0.1, 0.2], ["1", "7"], [1, 2]), tmp_path, "x")[
        1
    ].read_text()
    assert page.count("data:image/svg+xml;base64,") == 4  # scale, heat maps, losses, scores
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "http" not in re.sub(r"base64,[^\"]*", "", page)
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1 and all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("score_by_scale", "heat_maps", "losses", "scores") for kind in ("png", "svg")
    }


@pytest.mark.slow
def test_two_thousand_runs_take_less_than_twenty_seconds(tmp_path):
    tasks = ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"]
    rows = sweep_rows.grid(tasks, [0, 0.0001, 0.005, 0.01, 0.05, 0.1, 0.2], ["1", "4", "7"], range(12))
    assert len(rows) >= 2000
    file = sweep_rows.write(tmp_path / "results.jsonl", rows)
    began = time.process_time()
    write_report(read_results(file), tmp_path, "many")
    assert time.process_time() - began < 20


def test_reports_of_several_sweeps_are_one(tmp_path, capsys):
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        sweep_rows.write(tmp_path / name / "results.jsonl", [row(seed=seed), row(seed=seed, scale=0.1, score=0.7)])
    words = [str(tmp_path / "a"), str(tmp_path / "b" / "results.jsonl"), "--output_dir", str(tmp_path / "both")]
    assert run_report.main([*words, "--title", "two sweeps"]) == 0
    text = (tmp_path / "both" / "report.md").read_text()
    assert text.startswith("# ContraNorm on GLUE: two sweeps") and "4 runs" in text
    assert "report.html" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "", "not json\n", "[1]\n"])
def test_without_results_there_is_one_line_of_error(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "results.jsonl").write_text(content)
    assert run_report.main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("run_report.py: error: ") and error.count("\n") == 1
