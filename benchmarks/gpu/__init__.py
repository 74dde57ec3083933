"""What a GPU does with this library: is it right, how fast is it, and how long does a fine-tuning take.

    make gpu                                       # or python -m benchmarks.gpu, with an interpreter that has torch
    make gpu GPU_PYTHON=python3                    # with that one; no environment is made
    make gpu-record                                # complete fine-tunings; python -m benchmarks.gpu --record
    python -m benchmarks.gpu --only checks         # the checks alone
    python -m benchmarks.gpu --device cpu --tiny   # everything in small, to try the benchmark itself

It needs torch (2.11 or newer), tokenizers, safetensors and accelerate, no data, no network, and no stock library: with
it, that is what ours is held against, else our own model without ContraNorm, trained in the same usual way. Everything
is written to `--output` (output/gpu) as `gpu.md` and `gpu.json` after each row, so that nothing is lost.

    checks    `checks.py`: each is a function that the tests marked `gpu` call too
    steps     `plan.py`: a row for each kind of run, the most valuable first. "ours" is `run_glue_no_trainer.py`,
              watched from outside: after some updates to warm up, the median over five rounds of the time of an update;
              then some more under PyTorch's profiler, which counts kernels and what the host has to call to start
              them, and says what share of the time the device was busy. "usual" is the usual fine-tuning of
              `benchmarks/stock.py` on rows of the same lengths, as it is and compiled.
    record    `record.py`: the time of complete fine-tunings beside the one table that is public

The clock is its own: no row begins that would not end within `--minutes`, one that takes too long is ended, and what
was not measured is listed. A row that fails is listed with its reason, and the next one begins in a new process.
"""
