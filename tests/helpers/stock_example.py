"""A fine-tuning script in the manner of the stock library's examples: its imports, its calls, nothing of this project.

What it imports as `transformers` is whichever library is on the path. Run as `python stock_example.py --flags`.
"""

import argparse
import json
import logging
import math
import os

import datasets
import torch
from accelerate import Accelerator
from accelerate.logging import get_logger
from accelerate.utils import set_seed
from datasets import load_dataset
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

import transformers
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PretrainedConfig,
    SchedulerType,
    default_data_collator,
    get_scheduler,
)
from transformers.utils import check_min_version
from transformers.utils.versions import require_version

try:  # the examples of versions before 5 have it
    from transformers.utils import send_example_telemetry
except ImportError:

    def send_example_telemetry(*arguments):
        pass


check_min_version("4.57.0.dev0")
require_version("datasets>=1.8.0", "To fix: pip install -U datasets")
logger = get_logger(__name__)


def parse_args(argv=None):
    parser = argparse.ArgumentParser()
    for name in ("train_file", "validation_file", "model_name_or_path", "output_dir", "cache_dir"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--max_length", type=int, default=128)
    parser.add_argument("--pad_to_max_length", action="store_true")
    parser.add_argument("--use_slow_tokenizer", action="store_true")
    parser.add_argument("--trust_remote_code", action="store_true")
    parser.add_argument("--ignore_mismatched_sizes", action="store_true")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--learning_rate", type=float, default=1e-2)
    parser.add_argument("--weight_decay", type=float, default=0.0)
    parser.add_argument("--num_train_epochs", type=int, default=3)
    parser.add_argument("--gradient_accumulation_steps", type=int, default=1)
    parser.add_argument("--lr_scheduler_type", type=SchedulerType, default="linear", choices=[*map(str, SchedulerType)])
    parser.add_argument("--num_warmup_steps", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    send_example_telemetry("run_example", args)
    accelerator = Accelerator(gradient_accumulation_steps=args.gradient_accumulation_steps, cpu=True)
    logging.basicConfig(level=logging.WARNING)
    logger.info(accelerator.state, main_process_only=False)
    datasets.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    set_seed(args.seed)
    files = {"train": args.train_file, "validation": args.validation_file}
    raw = load_dataset("csv", data_files=files, cache_dir=args.cache_dir)
    labels = sorted(raw["train"].unique("label"))
    remote = {"trust_remote_code": args.trust_remote_code}
    config = AutoConfig.from_pretrained(args.model_name_or_path, num_labels=len(labels), finetuning_task=None, **remote)
    tokenizer = AutoTokenizer.from_pretrained(args.model_name_or_path, use_fast=not args.use_slow_tokenizer, **remote)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    config.pad_token_id = tokenizer.pad_token_id
    model = AutoModelForSequenceClassification.from_pretrained(
        args.model_name_or_path,
        from_tf=bool(".ckpt" in args.model_name_or_path),
        config=config,
        ignore_mismatched_sizes=args.ignore_mismatched_sizes,
        **remote,
    )
    assert PretrainedConfig(num_labels=len(labels)).label2id == model.config.label2id
    model.config.label2id = {name: index for index, name in enumerate(labels)}
    model.config.id2label = {index: name for name, index in config.label2id.items()}
    padding = "max_length" if args.pad_to_max_length else False

    def preprocess(examples):
        encoded = tokenizer(examples["text"], padding=padding, max_length=args.max_length, truncation=True)
        encoded["labels"] = [model.config.label2id[name] for name in examples["label"]]
        return encoded

    with accelerator.main_process_first():
        encoded = raw.map(preprocess, batched=True, remove_columns=raw["train"].column_names)
    collate = default_data_collator
    if not args.pad_to_max_length:
        multiple = {"fp8": 16, "no": None}.get(accelerator.mixed_precision, 8)
        collate = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=multiple)
    train_loader = DataLoader(encoded["train"], shuffle=True, collate_fn=collate, batch_size=args.batch_size)
    eval_loader = DataLoader(encoded["validation"], collate_fn=collate, batch_size=args.batch_size)
    exempt = ("bias", "LayerNorm.weight")
    named = [*model.named_parameters()]
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [p for n, p in named if not any(part in n for part in exempt)],
                "weight_decay": args.weight_decay,
            },
            {"params": [p for n, p in named if any(part in n for part in exempt)], "weight_decay": 0.0},
        ],
        lr=args.learning_rate,
    )
    steps = args.num_train_epochs * math.ceil(len(train_loader) / args.gradient_accumulation_steps)
    scheduler = get_scheduler(
        name=args.lr_scheduler_type,
        optimizer=optimizer,
        num_warmup_steps=args.num_warmup_steps,
        num_training_steps=steps,
    )
    model, optimizer, train_loader, eval_loader, scheduler = accelerator.prepare(
        model, optimizer, train_loader, eval_loader, scheduler
    )
    bar, scores = tqdm(range(steps), disable=True), []
    for _ in range(args.num_train_epochs):
        model.train()
        for batch in train_loader:
            with accelerator.accumulate(model):
                accelerator.backward(model(**batch).loss)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            bar.update(1)
        model.eval()
        right = total = 0
        for batch in eval_loader:
            with torch.no_grad():
                outputs = model(**batch)
            predictions, references = accelerator.gather_for_metrics((outputs.logits.argmax(dim=-1), batch["labels"]))
            right, total = right + int((predictions == references).sum()), total + len(references)
        scores.append(right / total)
    accelerator.wait_for_everyone()
    accelerator.unwrap_model(model).save_pretrained(
        args.output_dir, is_main_process=accelerator.is_main_process, save_function=accelerator.save
    )
    if accelerator.is_main_process:
        tokenizer.save_pretrained(args.output_dir)
        with open(os.path.join(args.output_dir, "all_results.json"), "w") as file:
            json.dump({"eval_accuracy": scores, "library": transformers.__file__}, file)
    accelerator.end_training()


if __name__ == "__main__":
    main()
