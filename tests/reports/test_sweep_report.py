"""The report of a sweep: its numbers recomputed from results.jsonl by other means, and what it may be given."""

import json
import math
import re
import statistics
import time
from itertools import pairwise, permutations

import numpy as np
import pytest
import scipy.stats
import sweep_rows
from sweep_rows import row

import run_report
from glue.data.tasks import GLUE_TASKS
from glue.errors import UsageError
from glue.output.manifest import Manifest
from reports import sweep_figures, sweep_report
from reports.scores import AVERAGE, Paired, Scores, Summary
from reports.significance import detectable, holm, power, seeds_needed
from reports.sweep_report import write_report
from sweep.results import newest, read_results


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


@pytest.fixture
def figures():
    """Of a test that looks at figures; the others do without, for they take seconds."""


@pytest.fixture(autouse=True)
def _no_figures(request, monkeypatch):
    if "figures" not in request.fixturenames:
        monkeypatch.setattr(sweep_report, "draw_sweep", lambda *_: [])


@pytest.fixture
def report(tmp_path):
    """A report of two tasks, three scales and four seeds, through the command line; results.jsonl and the tables."""
    folder = tmp_path
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
    assert header == ["", "cola (matthews_correlation)", "rte (accuracy)", "average of these", "n", "collapsed"]
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
    """The interval from a table of Student's t: 3.182 at three degrees of freedom."""
    file, found = report
    scores = scores_of(file)
    header, *lines = found["Difference to the plain model with the same seed"]
    lines = [line for line in lines if line[0].startswith("ContraNorm")]
    headers = [line[0] for line in [header, *found["Difference to the plain model with the same seed"]]]
    assert [name for name in headers[1:] if not name.startswith("ContraNorm")] == ["cola", "rte", "average"]
    for number, (setting, mean, interval, shown, p, corrected, wins, noise, collapsed) in enumerate(lines):
        names = (("cola",), ("rte",), ("cola", "rte"))[number // 2]
        scale = float(setting.rpartition(" ")[2])
        differences = [
            statistics.mean(scores[name, scale][seed] - scores[name, 0][seed] for name in names) for seed in range(4)
        ]
        assert mean == f"{statistics.mean(differences):+.2f}"
        assert wins == f"{sum(value > 0 for value in differences)} of 4" and collapsed == ""
        reach = 3.182446 * statistics.stdev(differences) / 2
        low, high = map(float, interval.split(" to "))
        assert low == pytest.approx(statistics.mean(differences) - reach, abs=0.006)
        assert high == pytest.approx(statistics.mean(differences) + reach, abs=0.006)
        assert shown == ("gain" if low > 0 else "loss" if high < 0 else "")
        expected = scipy.stats.ttest_1samp(differences, 0).pvalue
        assert p == "< 0.001" if expected < 0.001 else float(p) == pytest.approx(expected, abs=0.0006)
        chances = sorted(float(line[4].strip("< ")) for line in lines[number // 2 * 2 :][:2])
        smallest = 2 * chances[0]
        of_both = smallest if float(p.strip("< ")) == chances[0] else max(smallest, chances[1])
        assert float(corrected.strip("< ")) == pytest.approx(min(1, of_both), abs=0.0012)
        plain = [statistics.mean(scores[name, 0][seed] for name in names) for seed in range(4)]
        assert noise == f"± {statistics.stdev(plain):.2f}"
    means = [float(line[1]) for line in lines]
    assert len(lines) == 3 * 2 and all(means[place] >= means[place + 1] for place in (0, 2, 4))  # the best first


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_cover_the_mean_as_often_as_they_say(seeds):
    generator = np.random.default_rng(seeds)
    found = [Paired.of(generator.normal(0.3, 1.0, size=seeds)) for _ in range(1000)]
    assert 0.93 <= sum(paired.low <= 0.3 <= paired.high for paired in found) / 1000 <= 0.97
    assert Paired.of([0.1, 0.11, 0.12]).verdict == "gain" == Paired.of([-0.1, -0.11, -0.12], sign=-1).verdict
    assert Paired.of([0.1, 0.11, -0.12]).verdict == "" == Paired.of([0.5]).verdict


@pytest.mark.parametrize("values", [[0.04], [0.01, 0.04, 0.03, 0.005], [0.9, 0.8], [0.02, 0.02, math.nan]], ids=str)
def test_holm_by_its_steps(values):
    """Written as the procedure is: reject the smallest as long as it is below level / (how many are left)."""
    corrected = holm(values)
    for level in np.linspace(0.001, 0.999, 500):
        left = sorted(value for value in values if not math.isnan(value))
        while left and left[0] <= level / len(left):
            left.pop(0)
        rejected = [not math.isnan(value) and (not left or value < left[0]) for value in values]
        assert rejected == [value <= level for value in corrected]


def test_power_against_simulations_and_known_sizes():
    """The sizes are those of textbooks for the paired t test at 0.05 and 80 percent."""
    assert [seeds_needed(size, 1.0) for size in (0.2, 0.5, 0.8, 1.0)] == [199, 34, 15, 10]
    generator = np.random.default_rng(1)
    for n, size, level in ((3, 2.0, 0.05), (5, 1.5, 0.05), (5, 3.0, 0.05 / 15)):
        drawn = generator.normal(size, 1.0, (20_000, n))
        found = (scipy.stats.ttest_1samp(drawn, 0, axis=1).pvalue < level).mean()
        assert power(size, 1.0, n, level) == pytest.approx(found, abs=0.012)
        assert power(detectable(0.3, n, level), 0.3, n, level) == pytest.approx(0.8, abs=1e-6)


def test_the_seeds_that_differences_take(report):
    """From the spread of all differences to the plain model, for one comparison and for both of the table."""
    file, found = report
    scores = scores_of(file)
    lines = [line for line in found["How many seeds a difference takes"][1:] if line[0] == "rte"]
    variances = [
        statistics.variance(scores["rte", scale][seed] - scores["rte", 0][seed] for seed in range(4))
        for scale in (0.005, 0.1)
    ]
    spread = math.sqrt(statistics.mean(variances))
    assert [line[1] for line in lines] == ["1", "2"]
    for (_, count, shown, smallest, *seeds), level in zip(lines, (0.05, 0.025), strict=True):
        assert shown == f"{spread:.2f}" and smallest == f"{detectable(spread, 4, level):.2f} with 4"
        assert seeds == [str(seeds_needed(points, spread, level)) for points in (0.5, 1, 2)], count


def test_how_alike_the_seeds_of_a_setting_predict(tmp_path):
    plain = [[0, 1, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]]
    rows = [row(seed=seed, predictions=values) for seed, values in enumerate(plain)]
    rows += [row(scale=0.1, seed=seed, predictions=[0, 0, 1, 1]) for seed in range(3)]
    rows += [
        row("stsb", seed=seed, predictions=values) for seed, values in enumerate([[1.0, 2.0, 4.0], [1.5, 2.0, 3.0]])
    ]
    rows += [row(scale=0.2, seed=1), row(scale=0.1, seed=4, predictions=[1, 1, 1, 1], degenerate=True)]
    found = tables(write_report(rows, tmp_path, "agreement")[0].read_text())["Agreement of seeds"]
    pairs = statistics.mean([3 / 4, 2 / 4, 3 / 4])
    correlation = statistics.correlation([1.0, 2.0, 4.0], [1.5, 2.0, 3.0])
    assert found[1] == ["plain", f"{100 * correlation:.1f}", f"{100 * pairs:.1f}"]
    assert found[2:] == [["ContraNorm scale 0.1", "", "100.0"]]  # no row of another has any


def test_one_run_is_a_report(tmp_path):
    files = write_report([row()], tmp_path, "one")
    text = files[0].read_text()
    assert "1 run of some-bert: 1 finished" in text and tables(text)["Scores"][1] == ["plain", "60.0", "1", ""]


def test_what_is_missing_or_broken_is_said_and_not_averaged(tmp_path):
    rows = [
        row(seed=1, score=0.6),
        row(seed=2, score=0.8),
        row(scale=0.1, seed=1, score=0.7),
        row(scale=0.1, seed=2, score=None, status="diverged", problem="the loss is nan", history=[]),
        row(scale=0.2, seed=1, score=0.5, degenerate=True),
        row(scale=0.2, seed=2, score=0.9),
        row(task="cola", seed=1, score=None, status="failed", problem="no such file", history=[], losses=[]),
    ]
    text = write_report(rows, tmp_path, "broken")[0].read_text()
    assert "5 finished, 1 diverged, 1 failed, 0 pruned; 5 missing" in text
    assert "1 of the finished runs collapsed" in text
    found = tables(text)
    cells = {line[0]: line[1:] for line in found["Scores"]}
    assert cells["plain"][1] == "70.0 ± 14.1" and cells["plain"][0] == "" and cells["plain"][2] == ""
    assert cells["ContraNorm scale 0.1"][1] == "70.0" and cells["ContraNorm scale 0.1"][3] == "0 to 1"
    # A run that collapsed is counted, and neither in a mean nor in a difference.
    assert cells["ContraNorm scale 0.2"][1] == "90.0" and cells["ContraNorm scale 0.2"][4] == "1"
    differences = {line[0]: line[1:] for line in found["Difference to the plain model with the same seed"]}
    assert differences["ContraNorm scale 0.2"] == ["+10.00", "", "", "", "", "1 of 1", "± 14.14", "1"]
    problems = {(line[0], line[1]): line[2] for line in found["Problems"][1:]}
    assert problems["rte scale 0.1 seed 2", "diverged"] == "the loss is nan"
    assert problems["cola scale 0.0 seed 1", "failed"] == "no such file"
    assert ("rte scale 0.2 seed 1", "collapsed") in problems and sum(what == "missing" for _, what in problems) == 5


def test_of_a_loss_the_lowest_is_the_best_and_a_plain_number(tmp_path):
    losses = {0.0: 0.5, 0.1: 0.4, 0.2: 0.6}
    rows = [
        row(scale=scale, seed=seed, score=loss + seed / 1000, main_metric="loss")
        for scale, loss in losses.items()
        for seed in (1, 2, 3)
    ]
    found = tables(write_report(rows, tmp_path, "loss")[0].read_text())
    header, plain, best, _, second, third = found["Scores"]
    assert header[1] == "rte (loss)" and plain[1] == "0.5020 ± 0.0010" and header[2] == "n"  # no average
    assert best[1] == second[1] == "0.4020 ± 0.0010" and second[0] == "ContraNorm scale 0.1"
    assert third[0] == "ContraNorm scale 0.2"
    first, last = found["Difference to the plain model with the same seed"][1:]
    assert first[1] == "-0.1000" and (first[3], first[6]) == ("gain", "3 of 3")
    assert last[1] == "+0.1000" and (last[3], last[6]) == ("loss", "0 of 3")


def test_the_average_is_that_of_glue():
    """Both sets of MNLI count, WNLI does not."""
    rows = [row(task=task, score=score) for task, score in (("mnli", 0.9), ("rte", 0.6), ("wnli", 0.1))]
    scores = Scores(rows)
    assert scores.of(AVERAGE, scores.variants[0]) == {1: pytest.approx((2 * 0.9 + 0.6) / 3)}
    assert Scores(rows[2:]).of(AVERAGE, scores.variants[0]) == {}


def test_settings_that_differ_between_tasks_alone_are_no_variants():
    rows = []
    for task, rate in (("cola", 1e-5), ("rte", 1e-4)):
        for scale in (0.0, 0.1):
            rows.append(row(task=task, scale=scale))
            rows[-1]["settings"]["learning_rate"] = rate
    assert [Scores(rows).label(variant) for variant in Scores(rows).variants] == ["plain", "ContraNorm scale 0.1"]


def test_other_data_under_the_same_name_are_another_variant():
    rows = [row(scale=scale, seed=seed) for scale in (0.0, 0.1) for seed in (1, 2)]
    for entry, digest in zip(rows, "abab", strict=True):
        entry["settings"] = {**entry["settings"], "data": digest * 64}
    assert len(Scores(rows).variants) == 4 and "data aaaaaaaa..." in Scores(rows).label(Scores(rows).variants[0])


def test_a_knob_of_any_method_is_reported_by_its_name(tmp_path):
    """Nothing but the rows says what there is; a method that this code does not know has a name too."""
    rows = [row(method="none")]
    rows += [row(method="contranorm", tau=tau, scale=0.1) for tau in (1.0, 2.0)] + [row(tau=1.0, scale="0.1,0.2")]
    rows += [row(method="centering", scale=scale) for scale in (0.5, 1.0)] + [row(method="of_tomorrow", scale=None)]
    scores = Scores(rows)
    assert {scores.label(variant) for variant in scores.variants} == {
        "plain",
        "Centering scale 0.5",
        "Centering scale 1",
        "ContraNorm scale 0.1 tau 1",
        "ContraNorm scale 0.1,0.2 tau 1",
        "ContraNorm scale 0.1 tau 2",
        "of_tomorrow",
    }
    assert sweep_figures.knobs_with_several_values(scores) == ["scale", "tau"]  # a figure each
    assert "tomorrow" in write_report(rows, tmp_path, "methods")[0].read_text()


@pytest.mark.parametrize("baseline", ["contranorm", "ContraNorm scale 0.1"])
def test_a_method_is_compared_with_another_one(tmp_path, baseline):
    """Seed by seed, and corrected for all of the others, the plain model among them."""
    generator = np.random.default_rng(2)
    scores = {name: generator.uniform(0.5, 0.7, 5) for name in ("none", "contranorm", "gfsa")}
    rows = [
        row(method=name, scale={"contranorm": 0.1, "none": 0.0}.get(name), seed=seed, score=float(score))
        for name, values in scores.items()
        for seed, score in enumerate(values)
    ]
    sweep_rows.write(tmp_path / "results.jsonl", rows)
    assert run_report.main([str(tmp_path), "--baseline", baseline]) == 0
    text = (tmp_path / "report.md").read_text()
    found = {line[0]: line for line in tables(text)["Difference to ContraNorm scale 0.1 with the same seed"][1:]}
    assert "plain model" not in text and found.keys() == {"plain", "GFSA"}
    chances = {"plain": scipy.stats.ttest_rel(scores["none"], scores["contranorm"]).pvalue}
    chances["GFSA"] = scipy.stats.ttest_rel(scores["gfsa"], scores["contranorm"]).pvalue
    for name, corrected in zip(chances, holm(list(chances.values())), strict=True):
        assert found[name][4:6] == [f"{chances[name]:.3f}", f"{corrected:.3f}"]
    assert found["GFSA"][1] == f"{100 * (scores['gfsa'] - scores['contranorm']).mean():+.2f}"
    assert found["GFSA"][7] == f"± {100 * scores['contranorm'].std(ddof=1):.2f}"


def test_a_baseline_that_is_none_or_several_is_one_line(tmp_path, capsys):
    sweep_rows.write(tmp_path / "results.jsonl", sweep_rows.grid(["rte"], [0, 0.1, 0.2], ["7"], [1, 2]))
    for name, expected in [
        ("gfsa", "has no run here: there are 'ContraNorm scale 0.1', 'ContraNorm scale 0.2', 'plain'"),
        ("contranorm", "is several settings: name one, such as 'ContraNorm scale 0.1', 'ContraNorm scale 0.2'"),
    ]:
        assert run_report.main([str(tmp_path), "--baseline", name]) == 2
        assert capsys.readouterr().err == f"run_report.py: error: baseline '{name}' {expected}\n"
    assert not (tmp_path / "report.md").exists()


PUBLISHED = "method,model,task,score,source\nnone,BERT-large,RTE,70.4,a paper\n"


@pytest.mark.parametrize("kind", ["csv", "yaml"])
def test_published_scores_stand_beside_those_of_a_sweep(tmp_path, kind):
    sweep_rows.write(tmp_path / "results.jsonl", sweep_rows.grid(["rte"], [0, 0.1, 0.2], ["7"], [1, 2, 3]))
    path = tmp_path / f"published.{kind}"
    text = "- {method: none, model: BERT-large, task: RTE, score: 70.4, source: a paper}\n"
    path.write_text(PUBLISHED if kind == "csv" else text)
    assert run_report.main([str(tmp_path), "--published", str(path)]) == 0
    report = (tmp_path / "report.md").read_text()
    found = tables(report)
    scores = {line[0]: line[1] for line in found["Scores"]}
    best, chosen = scores["best for each task"], scores["chosen without the seed it is scored on"]
    rows = found["Beside published numbers"][1:]
    assert rows[0] == ["none", "BERT-large", "rte", "70.40", scores["plain"], best, chosen, "a paper"]
    # The paper's two come without being asked for, with their source.
    assert [line[3] for line in rows[1:]] == ["82.59", "83.54"] and all("2303.06562" in line[7] for line in rows[1:])
    assert "some-bert, 3 seeds (1, 2, 3)" in report and "no average of GLUE here, which takes cola, sst2" in report
    assert rows[1][4:7] == ["", "", ""]


def test_the_published_average_stands_beside_one_of_all_tasks(tmp_path):
    found = tables(
        write_report(sweep_rows.grid(list(GLUE_TASKS), [0, 0.1], ["7"], [1, 2]), tmp_path, "all")[0].read_text()
    )
    averages = {line[0]: line[10] for line in found["Scores"][1:]}
    (plain,) = {line[4] for line in found["Beside published numbers"][1:]}
    assert plain == averages["plain"] != ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("method,model,task,score,source\nnone,BERT,rte,70.4,\n", "row 1 has no source"),
        ("method,model,task,score\nnone,BERT,rte,70.4\n", "row 1 has no source"),
        ("method,model,task,score,source\nnone,BERT,rte,0.704,x\n", "expected percent, such as 82.59"),
        ("method,model,task,score,source\nnone,BERT,rte,good,x\n", "score good: expected percent"),
        ("method,model,task,score,source\nnone,BERT,squad,80,x\n", "unknown task 'squad'"),
        ("", "expected rows of method, model, task, score, source"),
        (None, "No such file or directory"),
    ],
)
def test_published_scores_that_are_not_complete_are_one_line(tmp_path, capsys, text, expected):
    sweep_rows.write(tmp_path / "results.jsonl", [row()])
    if text is not None:
        (tmp_path / "published.csv").write_text(text)
    assert run_report.main([str(tmp_path), "--published", str(tmp_path / "published.csv")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("run_report.py: error: ") and error.count("\n") == 1 and expected in error


def test_the_best_setting_needs_as_many_seeds_as_the_fullest():
    rows = [row(seed=seed, score=0.5) for seed in (1, 2)]
    rows += [row(scale=0.1, seed=seed, score=0.6) for seed in (1, 2)] + [row(scale=0.2, seed=1, score=0.9)]
    scores = Scores(rows)
    best = scores.best("rte", scores.baseline_of(scores.variants[0]))
    assert dict(best)["scale"] == 0.1


def test_other_settings_that_vary_have_plain_models_of_their_own():
    rows = []
    for rate, lift in ((1e-5, 0.0), (1e-4, 0.1)):
        for scale in (0.0, 0.1):
            entry = row(scale=scale, score=0.5 + lift + scale)
            entry["settings"]["learning_rate"] = rate
            rows.append(entry)
    scores = Scores(rows)
    assert [scores.label(variant) for variant in scores.variants] == [
        "plain learning_rate 0.0001",
        "ContraNorm scale 0.1 learning_rate 0.0001",
        "plain learning_rate 1e-05",
        "ContraNorm scale 0.1 learning_rate 1e-05",
    ]
    for variant in scores.variants:
        difference = scores.paired("rte", variant).mean
        assert difference == pytest.approx(0.1 if dict(variant).get("scale") else 0.0)


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


def test_the_page_needs_no_network(tmp_path, figures):
    rows = sweep_rows.grid(["rte", "cola"], [0, 0.1, 0.2], ["1", "7"], [1, 2])
    page = write_report(rows, tmp_path, "x")[1].read_text()
    names = ("heat_map_scale_1", "score_by_scale", "losses", "scores")
    assert page.count("data:image/svg+xml;base64,") == len(names)
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "http" not in re.sub(r"base64,[^\"]*", "", page)
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1 and all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("png", "svg")
    }


def test_a_heat_map_says_differences_and_the_sign_of_their_intervals(tmp_path, figures):
    """As text in the drawing: each mean difference, and a mark where its interval excludes 0."""
    rows = [row(seed=seed, score=0.5 + seed / 100) for seed in (1, 2, 3)]
    sizes = {("1", 0.1): (0.05, 0.051, 0.052), ("7", 0.1): (-0.05, -0.051, -0.052), ("1", 0.2): (0.03, -0.03, 0.03)}
    for (pos, scale), differences in sizes.items():
        rows += [
            row(pos=pos, scale=scale, seed=seed, score=0.5 + seed / 100 + difference)
            for seed, difference in enumerate(differences, start=1)
        ]
    write_report(rows, tmp_path, "map")
    texts = re.findall(r">([^<>]+)</t", (tmp_path / "figures" / "heat_map_scale_1.svg").read_text())
    assert {"+5.1", "-5.1", "+1.0"} <= set(texts) and texts.count("▲") == 1 and texts.count("▼") == 1


def test_a_map_of_depths_says_what_trained(tmp_path, figures):
    rows = []
    for depth, trained in ((12, 3), (48, 1)):
        for seed in range(3):
            collapsed = {"degenerate": True, "score": 0.5} if seed >= trained else {"score": 0.8}
            rows += [row(seed=seed, **collapsed), row(seed=seed, scale=0.2, score=0.9)]
            for entry in rows[-2:]:
                entry["settings"]["num_hidden_layers"] = depth
    rows[-1] |= {"status": "diverged", "score": None}
    write_report(rows, tmp_path, "depth")
    drawing = (tmp_path / "figures" / "depth.svg").read_text()
    texts = re.findall(r">([^<>\n]+)</t", drawing)
    assert sorted(text for text in texts if " of " in text) == ["1 of 3", "2 of 3", "3 of 3", "3 of 3"]
    assert {"80.0", "90.0", "12", "48", "plain", "ContraNorm scale 0.2"} <= set(texts)
    assert "ContraNorm scale 0.2 num_hidden_layers 48" in (tmp_path / "figures" / "differences.svg").read_text()
    assert "What trains at which depth" in (tmp_path / "report.md").read_text()


@pytest.mark.slow
def test_two_thousand_runs_take_less_than_twenty_seconds(tmp_path, figures):
    tasks = ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"]
    rows = sweep_rows.grid(tasks, [0, 0.0001, 0.005, 0.01, 0.05, 0.1, 0.2], ["1", "4", "7"], range(12))
    assert len(rows) >= 2000
    file = sweep_rows.write(tmp_path / "results.jsonl", rows)
    began = time.process_time()
    write_report(read_results(file), tmp_path, "many")
    assert time.process_time() - began < 20


def test_reports_of_several_sweeps_are_one(tmp_path, capsys):
    """A run that is in both counts once, with its newest result."""
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        shared = row(seed=3, score=0.1 * seed, id=f"shared {name}", finished=f"2026-01-0{3 - seed}")
        rows = [row(seed=seed), row(seed=seed, scale=0.1, score=0.7), shared]
        sweep_rows.write(tmp_path / name / "results.jsonl", rows)
    words = [str(tmp_path / "a"), str(tmp_path / "b" / "results.jsonl"), "--output_dir", str(tmp_path / "both")]
    assert run_report.main([*words, "--title", "two sweeps"]) == 0
    text = (tmp_path / "both" / "report.md").read_text()
    assert text.startswith("# ContraNorm on GLUE: two sweeps") and "5 runs" in text
    assert tables(text)["Scores"][1][:2] == ["plain", f"{100 * (0.6 + 0.6 + 0.1) / 3:.1f} ± 28.9"]
    assert "report.html" in capsys.readouterr().out


def test_rows_of_something_else_are_one_line(tmp_path, capsys):
    good = row()
    others = ['{"a": 1}', "3", "[1]", '{"id":']
    (tmp_path / "results.jsonl").write_text("\n".join([*others, json.dumps(good), ""]))
    assert run_report.main([str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "no row of a sweep in line 1, 2, 3, 4: left out" in output and output.count("\n") == 3


@pytest.mark.parametrize("content", [None, "", "not json\n", "[1]\n"])
def test_without_results_there_is_one_line_of_error(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "results.jsonl").write_text(content)
    assert run_report.main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("run_report.py: error: ") and error.count("\n") == 1


REPLACED = ["report.md", "report.html", "figures/losses.png"]


@pytest.mark.parametrize("name", REPLACED)
@pytest.mark.parametrize("is_edited", [False, True], ids=["from elsewhere", "edited"])
def test_what_is_somebodys_own_is_not_overwritten_by_a_report(tmp_path, name, is_edited):
    """Whatever its first line: a report with remarks of one's own begins as ours do."""
    rows, file = [row(seed=seed, scale=scale) for seed in (1, 2) for scale in (0, 0.1)], tmp_path / name
    if is_edited:
        write_report(rows, tmp_path, "one")
        write_report(rows, tmp_path, "one")  # as a report has left it
        (tmp_path / "figures").mkdir(exist_ok=True)
        file.write_bytes((file.read_bytes() if file.exists() else b"") + b"my remark")
    else:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"# ContraNorm on GLUE: mine")
    before = file.read_bytes()
    with pytest.raises(UsageError, match=rf"{name} is not on the list of what reports have written there, or was"):
        write_report(rows, tmp_path, "one")
    assert file.read_bytes() == before
    file.unlink()
    write_report(rows, tmp_path, "one")


def test_a_report_that_was_killed_is_written_anew(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "close", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_report([row()], tmp_path, "one")
    write_report([row()], tmp_path, "two")


def test_the_newest_result_of_a_run_counts_and_not_that_it_failed_since(tmp_path):
    """In whatever order the rows stand."""
    old, new = (row(score=score, finished=f"2026-01-0{day}", id=str(day)) for score, day in ((0.5, 1), (0.6, 2)))
    failed = {**new, "id": "3", "status": "failed", "score": None, "finished": "2026-01-03"}
    for order in permutations([old, new, failed]):
        assert newest(order) == [new]
    assert newest([failed, {**failed, "id": "4", "finished": "2026-01-04"}])[0]["id"] == "4"
