# shellcheck shell=bash
# What the four run_*.sh scripts share: the paper's recipe, one run, and a grid of runs. Sourced, never run by itself.
#
# From the environment:
#   MODEL       Hub id or folder of the checkpoint; `demo` is the built-in miniature, which needs no download
#   DATA_DIR    folder with GLUE on disk; without it GLUE_DATA_DIR, then the Hub
#   EPOCHS      passes over the training data (5)
#   SEED        seed of everything random (2021)
#   EXTRA_ARGS  further flags of run_glue_no_trainer.py, split at blanks; they win over the recipe
#   PYTHON      interpreter (.venv/bin/python where `make demo` has made it, else python3)

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SEED=${SEED:-2021}
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    if [ -x "$ROOT/.venv/bin/python" ]; then PYTHON=$ROOT/.venv/bin/python; fi
fi

# Print a problem and the usage line, which the calling script keeps in USAGE; exit with status 2.
fail_usage() {
    printf '%s: error: %s\nusage: %s\n' "$(basename "$0")" "$1" "$USAGE" >&2
    exit 2
}

# check_run TASK SCALE POS: catch a typing error before anything starts.
check_run() {
    case $1 in
        cola | sst2 | mrpc | stsb | qqp | mnli | qnli | rte | wnli) ;;
        *) fail_usage "task '$1': expected one of cola sst2 mrpc stsb qqp mnli qnli rte wnli" ;;
    esac
    [[ $2 =~ ^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$ ]] ||
        fail_usage "scale '$2': expected a number such as 0.005 (0 is the plain model)"
    [[ $3 =~ ^([1-8]+|0|none)$ ]] ||
        fail_usage "position '$3': expected digits 1 to 8, combined as in 17, or 0 for the plain model"
}

check_device() {
    case $1 in
        cpu) ;;
        *[!0-9]*) fail_usage "device '$1': expected the index of a GPU, cpu, or nothing to choose by itself" ;;
    esac
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
    case $MODEL${DATA_DIR:-} in
        # The demo brings its own recipe: a small random model learns nothing at a fine-tuning learning rate.
        demo | demo-albert) if [ -n "${EPOCHS:-}" ]; then flags+=(--num_train_epochs "$EPOCHS"); fi ;;
        *)
            flags+=(
                --per_device_train_batch_size 32 --num_train_epochs "${EPOCHS:-5}" --learning_rate 2e-5
                --lr_scheduler_type linear --num_warmup_steps 0 --weight_decay 0 --max_length 128
            )
            ;;
    esac
    if [ "$device" = cpu ]; then
        flags+=(--cpu)
    elif [ -n "$device" ]; then
        export CUDA_VISIBLE_DEVICES=$device
    fi
    IFS=$' \t\n' read -r -d '' -a extra <<<"${EXTRA_ARGS:-}" || true # read reports the end of its input as a failure
    exec "$PYTHON" "$ROOT/run_glue_no_trainer.py" "${flags[@]}" --output_dir "$(output_folder "$task" "$scale" "$pos")" \
        "$@" ${extra[@]+"${extra[@]}"}
}

# run_one [TASK SCALE POS [DEVICE]]: the command line of the single-run scripts.
run_one() {
    if [ $# -lt 3 ] || [ $# -gt 4 ]; then fail_usage "3 or 4 arguments expected, $# given"; fi
    check_run "$1" "$2" "$3"
    check_device "${4:-}"
    fine_tune "$1" "$2" "$3" "${4:-}"
}

# run_grid [DEVICE]: every combination of TASKS, POSITIONS and SCALES, one after the other. A finished run is skipped, and
# so is one that diverged: it would do so again. A failing one is listed at the end and makes the status 1. Ctrl-C, SIGTERM
# and SIGUSR1 are passed on to the run, which saves a checkpoint; then the grid ends with 128 + the signal's number.
run_grid() {
    if [ $# -gt 1 ]; then fail_usage "at most 1 argument expected, $# given"; fi
    check_device "${1:-}"
    local task pos scale
    for task in $TASKS; do for pos in $POSITIONS; do for scale in $SCALES; do
        check_run "$task" "$scale" "$pos"
    done; done; done

    local logs failed='' diverged='' done_count=0 skipped_count=0 diverged_count=0 failed_count=0
    local run_pid='' stopped=''
    logs=outlog/$(model_label)
    mkdir -p "$logs"
    trap 'pass_on INT 130' INT
    trap 'pass_on TERM 143' TERM
    trap 'pass_on USR1 138' USR1
    trap 'pass_on TERM 129' HUP
    for task in $TASKS; do for pos in $POSITIONS; do for scale in $SCALES; do
        run_of_grid "$task" "$scale" "$pos" "${1:-}"
    done; done; done

    echo "$done_count done, $skipped_count skipped, $failed_count failed"
    if [ "$diverged_count" -gt 0 ]; then printf '%s diverged:\n%s' "$diverged_count" "$diverged" >&2; fi
    if [ "$failed_count" -gt 0 ]; then
        printf 'failed:\n%s' "$failed" >&2
        return 1
    fi
}

# run_of_grid TASK SCALE POS DEVICE: one run, or the line that says why there is none; updates run_grid's counts.
run_of_grid() {
    local title="$1 scale $2 pos $3" log="$logs/$1_$2_$3_seed$SEED.log" status=0 start=$SECONDS folder
    folder=$(output_folder "$1" "$2" "$3")
    if [ -f "$folder/all_results.json" ]; then
        echo "$title: finished before, skipped"
        skipped_count=$((skipped_count + 1))
        return
    fi
    if [ -f "$folder/diverged.json" ]; then
        echo "$title: diverged before, skipped"
        note_diverged "$title" "$log"
        return
    fi
    if [ -n "$(find "$folder/checkpoints" -maxdepth 1 -name 'step_*' 2>/dev/null)" ]; then
        set -- "$@" --resume_from_checkpoint
    elif [ -d "$folder" ]; then
        set -- "$@" --overwrite_output_dir # it failed or was killed without a checkpoint: from the beginning
    fi
    echo "$title: started, see $log"
    # In a process group of its own, so that a Ctrl-C reaches the run once: passed on by this shell, which waits for it.
    set -m
    (fine_tune "$@") </dev/null >"$log" 2>&1 &
    run_pid=$!
    set +m
    while :; do # a signal interrupts the waiting
        status=0
        wait "$run_pid" || status=$?
        kill -0 "$run_pid" 2>/dev/null || break
    done
    run_pid=''
    case ${stopped:-$status} in
        129 | 130 | 138 | 143) stop_grid "$title: $(tail -n 1 "$log")" "${stopped:-$status}" ;; # or the run alone got it
        0)
            echo "$title: done in $((SECONDS - start)) s"
            done_count=$((done_count + 1))
            ;;
        3)
            echo "$title: DIVERGED: $(tail -n 1 "$log")"
            note_diverged "$title" "$log"
            ;;
        *)
            echo "$title: FAILED with status $status: $(tail -n 1 "$log")"
            failed="$failed  $title: $log"$'\n'
            failed_count=$((failed_count + 1))
            ;;
    esac
}

# note_diverged TITLE LOG
note_diverged() {
    diverged="$diverged  $1: $2"$'\n'
    diverged_count=$((diverged_count + 1))
}

# pass_on SIGNAL STATUS: give the run a signal that this shell got, and remember what to exit with.
pass_on() {
    stopped=$2
    if [ -n "$run_pid" ]; then kill -s "$1" "$run_pid" 2>/dev/null || true; fi
}

# stop_grid LAST_WORDS STATUS
stop_grid() {
    printf '%s\ninterrupted: start the script again to go on with the runs that are not finished\n' "$1" >&2
    exit "$2"
}
