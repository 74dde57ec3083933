"""README and docs are true: their commands run, their flags exist and are complete, their links lead somewhere.

The code blocks of a section of the README, and of a page of docs/, run one after the other in a copy of the project,
whose demo has fewer rows.
A comment `<!-- needs: ... -->` above a block says that it cannot run here (a network, a GPU, an installation); of
such a block only the flags are checked.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest

from glue.cli.arguments import RunArguments
from glue.cli.command_line import build_parser
from glue.cli.mlm_arguments import MlmArguments
from sweep.arguments import SweepArguments, parse_args
from sweep.points import grid

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
README = PAGES["README.md"]
NEEDS = ("a network", "a GPU", "a cluster", "an installation", "some minutes")
# Flags in the text that are not those of a run or a sweep: of accelerate, torchrun, run_report.py and run_predict.py.
FLAGS_OF_OTHERS = {"--machine_rank", "--multi_gpu", "--num_processes", "--nproc_per_node", "--published"}
FLAGS_OF_OTHERS |= {"--baseline", "--batch_size", "--device", "--input_file", "--json", "--top_k"}


class Block(NamedTuple):
    """A block of code, and the section of the README or the page that it belongs to."""

    section: str
    language: str
    needs: str | None
    code: str


def find_blocks(page: str, text: str) -> list[Block]:
    """Return the bash and python blocks of a page in order."""
    blocks = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0] if page == "README.md" else page
        pattern = r"(?:<!-- needs: ([^>]*) -->\n)?^```(bash|python)\n(.*?)^```$"
        for needs, language, code in re.findall(pattern, section, flags=re.MULTILINE | re.DOTALL):
            blocks.append(Block(title, language, needs or None, code))
    return blocks


BLOCKS = [block for page, text in PAGES.items() for block in find_blocks(page, text)]
SECTIONS = list(dict.fromkeys(block.section for block in BLOCKS if not block.needs))


def commands_of(block: Block, script: str) -> list[list[str]]:
    """Return the words of each run of a script in a bash block."""
    lines = re.sub(r"\$\w+", "0", block.code.replace("\\\n", " ")).splitlines()
    found = [shlex.split(line, comments=True) for line in lines if script in line]
    return [words[words.index(script) + 1 :] for words in found]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project's code in a folder with a space in its name."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for package in ("contranorm", "transformers", "glue", "reports", "sweep"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (*ROOT.glob("*.sh"), *ROOT.glob("*.py")):
        shutil.copy(script, folder)
    demo, rows = folder / "glue" / "demo" / "checkpoint.py", "_TRAIN_ROWS, _HELD_OUT_ROWS = 5000, 400\n"
    assert rows in demo.read_text()
    demo.write_text(demo.read_text().replace(rows, "_TRAIN_ROWS, _HELD_OUT_ROWS = 500, 40\n"))
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("blocks")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("section", SECTIONS)
def test_the_blocks_of_a_section_run(section: str, copy: Path, quick: str) -> None:
    unset = (
        "GLUE_DATA_DIR",
        "MODEL",
        "DATA_DIR",
        "EPOCHS",
        "SEED",
        "EXTRA_ARGS",
        "TASKS",
        "SCALES",
        "POSITIONS",
        "SEEDS",
    )
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {
        "PATH": os.pathsep.join(map(str, (Path(quick).parent, Path(sys.executable).parent, os.environ["PATH"]))),
        "PYTHON": quick,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(copy.parent / "cache"),
    }
    for block in BLOCKS:
        if block.section == section and not block.needs:
            shell = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [quick, "-c"]
            result = subprocess.run(
                [*shell, block.code], cwd=copy, env=environment, capture_output=True, text=True, check=False
            )
            assert result.returncode == 0, f"{block.code}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"


RUNS = [words for block in BLOCKS if block.needs for words in commands_of(block, "run_glue_no_trainer.py")]
SWEEPS = [words for block in BLOCKS if block.needs for words in commands_of(block, "run_sweep.py")]


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_the_flags_of_a_run_are_known(words: list[str]) -> None:
    build_parser(RunArguments, {flag.metadata["group"]: "" for flag in fields(RunArguments)}).parse_args(words)


@pytest.mark.parametrize("words", SWEEPS, ids=" ".join)
def test_the_flags_of_a_sweep_are_known(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert grid(parse_args(words).choices)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.needs], ids=lambda block: block.section)
def test_a_block_that_cannot_run_here_says_why_and_names_what_exists(block: Block) -> None:
    assert block.needs in NEEDS
    for script in re.findall(r"bash (\S+\.sh)", block.code):
        assert (ROOT / script).is_file()
    for requirements in re.findall(r"pip install -r (\S+)", block.code):
        assert (ROOT / requirements).is_file()
    for target in re.findall(r"^make (\w+)", block.code, flags=re.MULTILINE):
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_every_flag_of_the_script_is_described_and_no_other() -> None:
    of_the_script = {f"--{flag.name}" for kind in (RunArguments, MlmArguments) for flag in fields(kind)}
    of_sweeps = {f"--{flag.name}" for flag in fields(SweepArguments)}
    outside_blocks = re.sub(r"^```.*?^```$", "", "\n".join(PAGES.values()), flags=re.MULTILINE | re.DOTALL)
    described = set(re.findall(r"`(--\w+)", outside_blocks))
    assert of_the_script - described == set()
    assert described - of_the_script - of_sweeps - FLAGS_OF_OTHERS == set()


def test_links_lead_to_files() -> None:
    for page, text in PAGES.items():
        targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'src="([^"]+)"', text)
        assert targets or page != "README.md"
        for target in targets:
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 220
