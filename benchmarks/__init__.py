"""How fast, how small and how near to the machine's limit, beside the stock library doing the same job on the CPU.

    make bench                                                             # in the environment of `make test`
    make bench BENCH_ARGS="--data_dir glue_data --model checkpoints/bert --rounds 5"
    python -m benchmarks --only training,memory --tasks rte --models checkpoint --steps 4 --rounds 3
    python -m benchmarks --only contranorm,length                          # needs no stock library
    python -m benchmarks --stock_python other-env/bin/python               # the stock library of another environment

`python -m benchmarks.steps` switches off one measure for speed at a time, to see what it brings.

`--output` (output/bench) gets `bench.md`, `bench.json` and the log of every worker process. No part needs a network.
`python -m benchmarks --help` lists all settings; they and the machine are written beside the numbers.

Ours is what `run_glue_no_trainer.py` does: its own set-up, `backward` and `gradient_norm`, `glue.training.optimizer`
and `glue.scoring.inference`, with ContraNorm at pos 7 and scale 0.005. The stock side is what the well-known example of
the stock library does: `AutoModelForSequenceClassification`, batches padded to a multiple of 8,
PyTorch's AdamW, a linear schedule, evaluation in batches of 32 in the order of the file. Dropout is on in both, and the
rows of every batch are the same. bf16 is `torch.autocast` in both, through accelerate.

Each side has a worker process for every precision, kept alive and asked in turn: ours fp32, stock fp32, ours bf16,
stock bf16, and so on for `--rounds` rounds. A value is the median over the rounds, a ratio one median over the other.

    training      examples/s over `--steps` batches, making the batch included, after two batches to warm up; and the
                  share of the matrix-product rate that the same process measures right afterwards: 6 x weights of the
                  encoder's matrices x real tokens / seconds, over the rate of a (2048, 768) by (768, 3072) `torch.mm`
    evaluation    examples/s over the validation split, or its first `--eval_rows`
    memory        highest resident memory of a process of its own that trains `--steps` batches, in all and above what
                  it had after its imports
    startup       seconds from the start of the command to its first finished update: `run_glue_no_trainer.py` with an
                  empty cache, again with the cache that it left, and the stock side's script
    contranorm    seconds of a training step (fp32) at every position over those at scale 0; all positions share one
                  set of weights and take turns at every batch
    methods       the same of every method at its own position, with its defaults
    length        the layer alone, forward and backward over one sequence, against the formula written down directly:
                  seconds, and the peak of what is allocated on top of its input

Models: "checkpoint" is `--model`, or random weights of 6 layers x 384; "bert-base" and "albert-base" (this one only for
contranorm) are random weights of those sizes with the same tokenizer. The data are those of `--data_dir`, or else the
demo's words in texts as long as GLUE's (see `benchmarks/lengths.py`), as many rows as GLUE has.
"""
