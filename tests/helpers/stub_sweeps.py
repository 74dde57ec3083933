"""Sweeps whose runs take no time: a stub in the place of the script writes what a run of two epochs would."""

import json
import sys

import run_sweep
from reports import sweep_report
from sweep import worker
from sweep.results import RESULTS, read_results
from sweep.worker import Worker

# Its accuracy falls with the scale, its loss rises: 0.9 and 0.1 at scale 0. A run of three layers fails, one of four
# is killed.
_STUB = """
import json, os, pathlib, sys
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if flags.get("--num_hidden_layers") == "3": sys.exit("no such layer")
if flags.get("--num_hidden_layers") == "4":
    print("training: 50%", flush=True)
    os.kill(os.getpid(), 9)
folder = pathlib.Path(flags["--output_dir"])
scale = 0.0 if flags.get("--method") == "none" else float(flags.get("--scale", 0.005))
rows = [{"epoch": n, "updates": n, "accuracy": 0.9 - scale / n, "f1": 0.8, "spearmanr": 0.7, "loss": 0.1 + scale / n}
        for n in (1, 2)]
with open(folder / "eval_log.jsonl", "w") as log:
    log.writelines(json.dumps(row) + "\\n" for row in rows)
end = {f"eval_{name}": value for name, value in rows[-1].items()}
(folder / "all_results.json").write_text(json.dumps({**end, "history": rows, "best_epoch": 1}))
"""


class StubSweep:
    """The command line of `run_sweep.py` in a folder, whose runs are stubs.

    Args:
        monkeypatch, capsys: pytest's.
        folder: holds the sweep as `sweep/`.
    """

    def __init__(self, monkeypatch, capsys, folder):
        self.capsys = capsys
        self.folder = folder / "sweep"
        self.words = ["--output_dir", str(self.folder), "--log_dir", str(folder / "log"), "--device", "cpu"]

        def command(worker, point, run_folder):
            pairs = [word for name, value in point.flags for word in (f"--{name}", str(value))]
            return [sys.executable, "-IS", "-c", _STUB, *pairs, "--output_dir", str(run_folder)]

        monkeypatch.setattr(Worker, "_command", command)
        monkeypatch.setattr(worker, "_POLL", 0.02)
        monkeypatch.setattr(sweep_report, "draw_sweep", lambda *_: [])  # the report's tests look at figures

    def run(self, *words):
        """Run the command; returns its exit status and what it printed."""
        try:
            status = run_sweep.main([*map(str, words), *self.words])
        except SystemExit as stop:
            status = stop.code
        printed = self.capsys.readouterr()
        return status, printed.out + printed.err

    @property
    def rows(self):
        return read_results(self.folder / RESULTS)

    def report(self):
        return (self.folder / "report.md").read_text()


def own_files(folder, name="train.csv", labels="abab"):
    """The flags of own files with two classes."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (name, "validation.csv"):
        rows = [f"some words {number},{label}" for number, label in enumerate(labels)]
        (folder / file).write_text("\n".join(["sentence,label", *rows]) + "\n")
    return ["--train_file", str(folder / name), "--validation_file", str(folder / "validation.csv"), *MODEL]


MODEL = ["--model_name_or_path", "demo"]


def one_line(text):
    """Whether a text is one line that says what is wrong."""
    return text.count("\n") == 1 and "error: " in text and "Traceback" not in text


def as_json(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)
