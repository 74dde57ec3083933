#!/usr/bin/env bash
# Fine-tune BERT with ContraNorm on one GLUE task, with the paper's recipe:
#
#   bash run_glue_baselines.sh cola 0.01 7 1        task, scale, position, GPU (cpu, or left out: chosen by itself)
#
# Writes output/<model>_<task>_<scale>_<pos>_seed<seed>. run_common.sh says what the environment can change.
set -euo pipefail

USAGE="[MODEL=... DATA_DIR=... EPOCHS=... SEED=... EXTRA_ARGS=...] bash run_glue_baselines.sh TASK SCALE POS [DEVICE]"
MODEL=${MODEL:-bert-base-uncased}
. "$(dirname "${BASH_SOURCE[0]}")/run_common.sh"

run_one "$@"
