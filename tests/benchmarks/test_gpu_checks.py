"""The checks of `benchmarks/gpu`: in small on the CPU, as they are where there is a GPU, and on what is broken."""

import contextlib

import pytest
import torch

from benchmarks.gpu import checks
from benchmarks.gpu.checks import CHECKS, Place
from contranorm import ContraNorm
from glue.training import checkpointing

SMALL = Place("cpu", tiny=True)


@pytest.mark.gpu
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CHECKS)
def test_on_a_gpu(name):
    assert CHECKS[name](Place("cuda"))


# Compiling takes ten seconds and more.
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n == "compiled" else n for n in CHECKS])
def test_in_small_on_the_cpu(name):
    assert CHECKS[name](SMALL)


def test_another_formula_is_seen(monkeypatch):
    monkeypatch.setattr(ContraNorm, "push", lambda self, x, mean: x - 2 * self.scale * mean)
    for check in (checks.golden_outputs, checks.layer_parity):
        with pytest.raises(AssertionError, match="differ"):
            check(SMALL)


def test_padding_that_counts_is_seen(monkeypatch):
    model = checks._model
    monkeypatch.setattr(checks, "_model", lambda *words, **more: model(*words, contranorm_padding="include", **more))
    with pytest.raises(AssertionError, match="change with the padding"):
        checks.padding_invariance(SMALL)


def test_a_resumed_run_that_differs_is_seen(monkeypatch):
    """Other dropout masks than those of the run that was never stopped."""
    monkeypatch.setattr(checkpointing, "restore_random_states", lambda _: torch.manual_seed(0))
    with pytest.raises(AssertionError, match="weights of the resumed run differ"):
        checks.resume(SMALL)


def test_an_execution_that_learns_something_else_is_seen(monkeypatch):
    run = checks.run
    more = ["--learning_rate", "1.1e-3"]
    monkeypatch.setattr(
        checks, "run", lambda words, device: run([*words, *(more if "bucketed" in words else [])], device)
    )
    with pytest.raises(AssertionError, match="losses differ from the padded run's"):
        checks.executions(SMALL)


def test_an_inexact_result_is_seen(monkeypatch):
    monkeypatch.setitem(checks.TOLERANCES, "bf16", 1e-4)
    with pytest.raises(AssertionError, match="bf16 differs from double precision"):
        checks.model_parity(SMALL)


def test_waiting_is_an_error_in_the_block_alone(monkeypatch):
    modes = ["default"]
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: modes[-1])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with contextlib.suppress(ZeroDivisionError), checks.errors_on_waiting("cuda"):
        assert modes[-1] == "error"
        raise ZeroDivisionError
    assert modes == ["default", "error", "default"]


def test_it_is_the_training_loop_that_must_not_wait(monkeypatch):
    """From the second of eight updates to the seventh."""
    watched, see = [], checks.seen_updates
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: "default")
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", watched.append)
    waiting = checks.errors_on_waiting
    monkeypatch.setattr(checks, "errors_on_waiting", lambda _: waiting("cuda"))

    def seeing(seen):
        return see(lambda rows: (watched.append(rows), seen(rows)))

    monkeypatch.setattr(checks, "seen_updates", seeing)
    checks.no_waiting(SMALL)
    assert watched == [8, "error", 8, 8, 8, 8, 8, 8, "default", 8]
