#!/usr/bin/env bash
# Fine-tune ALBERT with ContraNorm on a grid of tasks, positions and scales, as a sweep:
#
#   bash run_different_baselines_al.sh 0          a worker for each GPU named (or cpu; left out: chosen by itself)
#
# Logs go to outlog/<model>/, runs and report to output/<model>/. Start it again after a stop to go on (run_sweep.py).
set -euo pipefail

# The grid: edit it here, or name another one in the environment, where MODEL, DATA_DIR, SEEDS and EPOCHS may stand too.
# Scale 0 is the plain model.
TASKS=${TASKS:-rte cola mrpc stsb sst2}
SCALES=${SCALES:-0.0001 0.005 0.01 0.05 0.1 0.2}
POSITIONS=${POSITIONS:-1 2 3 4 5 6 7}

MODEL=${MODEL:-albert-base-v2}
if [ "$MODEL" = demo ]; then MODEL=demo-albert; fi
. "$(dirname "${BASH_SOURCE[0]}")/run_common.sh"

run_grid paper-albert "$@"
