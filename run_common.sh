# shellcheck shell=bash
# What the four run_*.sh scripts share: the paper's recipe, one run, and a grid of runs. Sourced, never run by itself.
#
# From the environment:
#   MODEL       Hub id or folder of the checkpoint; `demo` is the built-in miniature, which needs no download
#   DATA_DIR    folder with GLUE on disk; without it GLUE_DATA_DIR, then the Hub
#   EPOCHS      passes over the training data (5)
#   SEED        seed of everything random (2021); grids take several in SEEDS
#   EXTRA_ARGS  further flags of run_glue_no_trainer.py, or of run_sweep.py for a grid, split at blanks; they win over
#               the recipe
#   PYTHON      interpreter (.venv/bin/python where `make demo` has made it, else python3)

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SEED=${SEED:-2021}
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    if [ -x "$ROOT/.venv/bin/python" ]; then PYTHON=$ROOT/.venv/bin/python; fi
fi

# is_demo: the demo brings its own recipe, as a small random model learns nothing at a fine-tuning learning rate.
is_demo() {
    case $MODEL${DATA_DIR:-} in
        demo | demo-albert) ;;
        *) return 1 ;;
    esac
}

# split_words NAME TEXT: the words of a text into the array of that name.
split_words() {
    IFS=$' \t\n' read -r -d '' -a "$1" <<<"$2" || true # read reports the end of its input as a failure
}

# The last two parts of the model's name, fit for a file name: google/bert_small -> google-bert_small.
model_label() {
    local path=${MODEL%/} parent
    parent=$(basename "$(dirname "$path")")
    case $parent in
        . | .. | /) basename "$path" ;;
        *) printf '%s-%s\n' "$parent" "$(basename "$path")" ;;
    esac
}

# output_folder TASK SCALE POS: every setting that the scripts vary is in the name, so that no run meets another one's.
output_folder() {
    printf 'output/%s_%s_%s_%s_seed%s\n' "$(model_label)" "$1" "$2" "$3" "$SEED"
}

# fine_tune TASK SCALE POS DEVICE [FLAG...]: one run with the paper's recipe, in place of this shell: what signals it
# gets, the run gets.
fine_tune() {
    local task=$1 scale=$2 pos=$3 device=$4
    local flags extra
    shift 4
    flags=(--model_name_or_path "$MODEL" --task_name "$task" --pos "$pos" --scale "$scale" --seed "$SEED")
    if [ -n "${DATA_DIR:-}" ]; then flags+=(--data_dir "$DATA_DIR"); fi
    if ! is_demo; then
        flags+=(
            --per_device_train_batch_size 32 --num_train_epochs "${EPOCHS:-5}" --learning_rate 2e-5
            --lr_scheduler_type linear --num_warmup_steps 0 --weight_decay 0 --max_length 128
        )
    elif [ -n "${EPOCHS:-}" ]; then
        flags+=(--num_train_epochs "$EPOCHS")
    fi
    if [ "$device" = cpu ]; then
        flags+=(--cpu)
    elif [ -n "$device" ]; then
        export CUDA_VISIBLE_DEVICES=$device
    fi
    split_words extra "${EXTRA_ARGS:-}"
    exec "$PYTHON" "$ROOT/run_glue_no_trainer.py" "${flags[@]}" --output_dir "$(output_folder "$task" "$scale" "$pos")" \
        "$@" ${extra[@]+"${extra[@]}"}
}

# run_one [TASK SCALE POS [DEVICE]]: the command line of the single-run scripts. The run itself checks task, scale and
# position before anything starts.
run_one() {
    if [ $# -lt 3 ] || [ $# -gt 4 ]; then fail_usage "3 or 4 arguments expected, $# given"; fi
    case ${4:-} in
        cpu) ;;
        *[!0-9]*) fail_usage "device '$4': expected the index of a GPU, cpu, or nothing to choose by itself" ;;
    esac
    fine_tune "$1" "$2" "$3" "${4:-}"
}

# Print a problem and the usage line, which the calling script keeps in USAGE; exit with status 2.
fail_usage() {
    printf '%s: error: %s\nusage: %s\n' "$(basename "$0")" "$1" "$USAGE" >&2
    exit 2
}

# run_grid PRESET [DEVICE...]: every combination of TASKS, POSITIONS, SCALES and SEEDS as a sweep, with a worker for each
# device, in place of this shell. PRESET names the recipe.
run_grid() {
    local preset=$1 flags extra label
    local -a task_words scale_words position_words seed_words
    shift
    split_words task_words "$TASKS"
    split_words scale_words "$SCALES"
    split_words position_words "$POSITIONS"
    split_words seed_words "${SEEDS:-$SEED}"
    split_words extra "${EXTRA_ARGS:-}"
    label=$(model_label)
    flags=(
        --model_name_or_path "$MODEL" --task_name "${task_words[@]}" --pos "${position_words[@]}" --scale "${scale_words[@]}"
        --seed "${seed_words[@]}" --output_dir "output/$label" --log_dir "outlog/$label"
    )
    if [ -n "${DATA_DIR:-}" ]; then flags+=(--data_dir "$DATA_DIR"); fi
    if ! is_demo; then flags+=(--preset "$preset"); fi
    if [ -n "${EPOCHS:-}" ]; then flags+=(--num_train_epochs "$EPOCHS"); fi
    if [ -n "$*" ]; then flags+=(--device "$@"); fi
    exec "$PYTHON" "$ROOT/run_sweep.py" "${flags[@]}" ${extra[@]+"${extra[@]}"}
}
