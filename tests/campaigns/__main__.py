"""The long forms: `python -m tests.campaigns [kills] [corruption] [fuzzing] [--seed N] [--scale X]`.

`python -m tests.campaigns curves --model DIR --data_dir DIR` takes two layers of a real checkpoint, and MRPC.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in (".", "tests", "tests/helpers")]


def main() -> int:
    """Run campaigns and print their figures as they come; the status is 1 if one found a defect."""
    from campaigns import corruption, curves, fuzzing, kills
    from glue.cli.console import say

    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = "kills, corruption, fuzzing (none: these three), curves"
    parser.add_argument("names", nargs="*", metavar="NAME", help=names)
    parser.add_argument("--seed", type=int, default=2021, help="decides what is done where (default: 2021)")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the long form (default: 1)")
    parser.add_argument("--model", metavar="DIR", help="checkpoint with dropout, for curves")
    parser.add_argument("--data_dir", metavar="DIR", help="folder with GLUE, for curves")
    args = parser.parse_args()
    say.on = False
    wrong = False
    for name in args.names or ["kills", "corruption", "fuzzing"]:
        with tempfile.TemporaryDirectory() as folder:
            if name == "kills":
                numbers = (round(number * args.scale) for number in (60, 20, 10))
                killed = kills.campaign(Path(folder), *numbers, args.seed)
                wrong = wrong or killed.survived < killed.kills or bool(killed.differences)
                print(name, killed, flush=True)
            elif name == "corruption":
                damaged = corruption.campaign(Path(folder), round(200 * args.scale), round(10 * args.scale), args.seed)
                wrong = wrong or bool(damaged.wrong) or damaged.resumed_equal < damaged.resumed
                print(name, damaged, flush=True)
            elif name == "fuzzing":
                inputs = {target: round(what.share * 110_000 * args.scale) for target, what in fuzzing.TARGETS.items()}
                all_found = fuzzing.fuzz(inputs, args.seed)
                for found in all_found:
                    wrong = wrong or bool(found.defects)
                    print(name, found, flush=True)
                print(name, sum(found.inputs for found in all_found), "inputs in all", flush=True)
            elif name == "curves" and args.model and args.data_dir:
                words = ["--task_name", "mrpc", "--data_dir", args.data_dir, "--pos", "7", "--scale", "0.005"]
                words += ["--num_hidden_layers", "2", "--learning_rate", "1e-4"]
                compared = curves.campaign(Path(folder), Path(args.model), words, max(2, round(5 * args.scale)), 100)
                wrong = wrong or not compared.agree
                print(name, compared, flush=True)
            else:
                parser.error(f"{name}: expected kills, corruption or fuzzing, or curves with --model and --data_dir")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
