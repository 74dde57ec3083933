"""The parts of the benchmark: which job is sent to whom, in which order, and which row comes of it."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from glue.training.sampling import TrainingOrder

from . import results as names
from .inputs import Inputs, ModelInput, TaskInput
from .options import Options
from .results import LENGTH_TARGET, Comparison, Results, Summary, judge, site_rows
from .startup import time_script, time_stock
from .workers import SIDES, Pool, WorkerError

_MIB = 2**20
_WARM_UP = 2  # batches
_MEMORY_ROUNDS = 2  # it hardly varies

Values = dict[tuple[str, str, str], list[float]]  # by measure, side and precision


class Bench:
    """A run of the benchmark.

    Args:
        options: its settings.
        inputs: data and checkpoints.
        pool: the workers.
        report: called after every case with all results so far.
        say: called with every line for the user.
    """

    def __init__(
        self,
        options: Options,
        inputs: Inputs,
        pool: Pool,
        report: Callable[[Results], None],
        say: Callable[[str], None],
    ) -> None:
        self.options, self.inputs, self.pool = options, inputs, pool
        self.report, self.say = report, say
        self.results = Results()

    def run(self) -> Results:
        """Measure all parts that were asked for.

        Raises:
            WorkerError: a worker could not do its job.
        """
        parts = self.options.parts
        for side in SIDES if {"training", "evaluation", "memory", "startup"} & set(parts) else ("ours",):
            self._worker(side, self.options.precision_names[0])  # a side that cannot start shows before anything else
        if "length" in parts:
            self.measure_lengths()
        for model in self.inputs.models.values():
            for task in self.inputs.tasks.values():
                if model.name != "albert-base":
                    if "training" in parts or "evaluation" in parts:
                        self.measure_speed(model, task)
                    if "memory" in parts:
                        self.measure_memory(model, task)
                    if "startup" in parts:
                        self.measure_startup(model, task)
                    if "methods" in parts:
                        self.results.methods += self.measure_sites(model, task, of_methods=True)
                if "contranorm" in parts and model.name != "bert-base":
                    self.results.sites += self.measure_sites(model, task)
                self.report(self.results)
        return self.results

    def measure_speed(self, model: ModelInput, task: TaskInput) -> None:
        """Training and evaluation."""
        case, batches = self._case(model, task), self._batches(model, task)
        values: Values = defaultdict(list)
        for _precision, _side, worker in self._turns():
            opened = worker.ask("open", **case)
            if opened["train_rows"] != task.train_rows:
                raise WorkerError(
                    f"{worker.name} read {opened['train_rows']} rows of {task.name}, not {task.train_rows}"
                )
            worker.ask("train", batches=batches[:_WARM_UP])
        for number in range(self.options.rounds):
            tokens = set()
            for precision, side, worker in self._turns():
                if "training" in self.options.parts:
                    done = worker.ask("train", batches=batches)
                    rate = worker.ask("matrix_rate", precision=precision)
                    useful = 6 * model.encoder_weights * done["tokens"] / done["seconds"]
                    values[names.TRAINING, side, precision].append(done["examples"] / done["seconds"])
                    values[names.SHARE, side, precision].append(100 * useful / rate)
                    tokens.add(done["tokens"])
                if "evaluation" in self.options.parts:
                    done = worker.ask("evaluate")
                    values[names.EVALUATION, side, precision].append(done["examples"] / done["seconds"])
            if len(tokens) > 1:
                raise WorkerError(f"the sides trained on batches with different numbers of tokens: {sorted(tokens)}")
            self.say(f"{model.name}, {task.name}: round {number + 1} of {self.options.rounds}")
        for _, _, worker in self._turns():
            worker.ask("close")
        self._compare(model, task, values)

    def measure_memory(self, model: ModelInput, task: TaskInput) -> None:
        """Peak memory of training, each time in a process of its own."""
        case, batches = self._case(model, task), self._batches(model, task)
        values: Values = defaultdict(list)
        for _ in range(min(self.options.rounds, _MEMORY_ROUNDS)):
            for precision in self.options.precision_names:
                for side in SIDES:
                    with self.pool.fresh(side, precision) as worker:
                        self.results.versions[side] = worker.about
                        before = worker.ask("memory")["now"]
                        worker.ask("open", **case)
                        worker.ask("train", batches=batches)
                        peak = worker.ask("memory")["peak"]
                    values[names.PEAK_MEMORY, side, precision].append(peak / _MIB)
                    values[names.MEMORY_ABOVE_IMPORTS, side, precision].append((peak - before) / _MIB)
        self._compare(model, task, values)

    def measure_startup(self, model: ModelInput, task: TaskInput) -> None:
        """Seconds from the start of the command to its first update (fp32)."""
        case = self._case(model, task)
        case["eval_rows"] = None  # the command reads its whole data
        values: Values = defaultdict(list)
        for _ in range(self.options.rounds):
            folder = self.pool.folder / "startup"
            first = time_script(self.pool, case, folder / "cache", folder / "first")
            second = time_script(self.pool, case, folder / "cache", folder / "second")
            stock = time_stock(self.pool, case, folder / "cache")
            values[names.FIRST_RUN, "ours", "fp32"].append(first)
            values[names.SECOND_RUN, "ours", "fp32"].append(second)
            for measure in (names.FIRST_RUN, names.SECOND_RUN):
                values[measure, "stock", "fp32"].append(stock)
            shutil.rmtree(folder)
        self._compare(model, task, values)

    def measure_sites(self, model: ModelInput, task: TaskInput, of_methods: bool = False) -> list[dict[str, Any]]:
        """ContraNorm's cost at every position, or that of every method."""
        worker, what = self._worker("ours", "fp32"), "methods" if of_methods else "positions"
        worker.ask("open_sites", of_methods=of_methods, **self._case(model, task))
        batches = self._batches(model, task)
        worker.ask("time_sites", batches=batches[:1])
        rounds = []
        for number in range(self.options.rounds):
            rounds.append(worker.ask("time_sites", batches=batches))
            self.say(f"{model.name}, {task.name}: {what}, round {number + 1} of {self.options.rounds}")
        worker.ask("close_sites")
        return site_rows(model.name, model.description, task.name, rounds, plain="scale 0")

    def measure_lengths(self) -> None:
        """The layer alone on one sequence of each length."""
        worker = self._worker("ours", "fp32")
        for length in self.options.length_values:
            rounds: dict[str, list[dict]] = {"direct": [], "library": []}
            for _ in range(self.options.rounds):
                for form, measured in rounds.items():
                    measured.append(worker.ask("measure_length", length=length, form=form))
            row: dict[str, Any] = {"length": length}
            for form, measured in rounds.items():
                row[form] = {
                    "seconds": Summary(tuple(each["seconds"] for each in measured)).to_dict(),
                    "peak": max(each["peak"] for each in measured),
                    "kept": max(each["kept"] for each in measured),
                }
            row["ratio"] = row["library"]["seconds"]["median"] / row["direct"]["seconds"]["median"]
            row |= judge(LENGTH_TARGET if length == 4096 else None, row["library"]["peak"])
            self.results.lengths.append(row)
            self.say(f"the layer alone, {length} tokens: {row['ratio']:.2f} of the direct form's time")
        self.report(self.results)

    def _turns(self) -> Iterator[tuple[str, str, Any]]:
        """Yield precision, side and worker in the order in which they take turns."""
        for precision in self.options.precision_names:
            for side in SIDES:
                yield precision, side, self._worker(side, precision)

    def _worker(self, side: str, precision: str) -> Any:
        worker = self.pool.get(side, precision)
        self.results.versions[side] = worker.about
        return worker

    def _case(self, model: ModelInput, task: TaskInput) -> dict[str, Any]:
        shared = {name: getattr(self.options, name) for name in ("batch_size", "max_length", "seed")}
        return {**task.job(), **shared, "model": str(model.folder), "eval_rows": model.eval_rows}

    def _batches(self, model: ModelInput, task: TaskInput) -> list[list[int]]:
        """Draw the batches of a round, the same ones in every round and for every side."""
        order = TrainingOrder(num_rows=task.train_rows, batch_size=self.options.batch_size, seed=self.options.seed)
        full = min(order.update_size, task.train_rows)  # the last batch of an epoch can be a small one
        updates = [update for update in order.epoch(0) if update.num_examples == full]
        return [update.micro_batches[0].tolist() for update in updates[: model.steps]]

    def _compare(self, model: ModelInput, task: TaskInput, values: Values) -> None:
        """Add a row for every measure and precision, and training in bf16 against the stock library's fp32."""
        summaries = {key: Summary(tuple(numbers)) for key, numbers in values.items()}
        pairs = [(precision, precision) for precision in self.options.precision_names] + [("bf16", "fp32")]
        for measure in dict.fromkeys(key[0] for key in summaries):
            for ours, stock in pairs:
                our_values = summaries.get((measure, "ours", ours))
                stock_values = summaries.get((measure, "stock", stock))
                if not our_values or not stock_values or (ours != stock and measure != names.TRAINING):
                    continue
                row = Comparison(measure, model.name, task.name, (ours, stock), our_values, stock_values)
                self.results.comparisons.append(row)
                if measure in (names.TRAINING, names.EVALUATION, names.PEAK_MEMORY, names.FIRST_RUN, names.SECOND_RUN):
                    self.say(
                        f"{model.name}, {task.name}: {measure}, ours {ours} {row.ours.median:.4g}, stock {stock} "
                        f"{row.stock.median:.4g} {names.UNITS[measure]}, ratio {row.ratio:.2f}"
                    )
        self.report(self.results)
