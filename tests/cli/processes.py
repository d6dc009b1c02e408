"""processes.py PROGRAM [NAME]: training in two processes gives what one gives with twice the batch. Needs mpirun and a program that was built with MPI;
reports itself as skipped otherwise."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import tiny_onnx as onnx
from harness import DIGITS, EVAL, PROGRAM, SOURCE, case, check, check_error, equal, finish, listing, read, sparsify, succeeds

MPIRUN = shutil.which("mpirun")
if MPIRUN is None or "processes: one" in sparsify("--version").stdout:
    print("skipped: needs mpirun and a program built with MPI (SPARSIFY_MPI=1 scripts/setup, scripts/build)")
    sys.exit(77)

TRAIN = f"npz:{os.path.join(SOURCE, 'configs', 'quickstart', 'digits-train.npz')},scale=16"
ROOT = ["--allow-run-as-root"] if os.geteuid() == 0 else []
ENVIRONMENT = {**os.environ, "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMPI_MCA_odls_base_sigkill_timeout": "10", "OMPI_MCA_mpi_yield_when_idle": "1"}


def start(count, *arguments, **options):
    return subprocess.Popen([MPIRUN, *ROOT, "-np", str(count), PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=ENVIRONMENT, **options)


def in_processes(count, *arguments):
    run = start(count, *arguments)
    out, err = run.communicate(timeout=200)
    return subprocess.CompletedProcess(run.args, run.returncode, out, err)


def check_same_model(one, two, margin):
    weights, others = onnx.weights_of(one), onnx.weights_of(two)
    equal(list(weights), list(others), "tensors")
    moved = 0
    for name, weight in weights.items():
        if weight.kind != onnx.FLOAT:
            equal(others[name].bytes, weight.bytes, name)
            continue
        for a, b in zip(weight.values(), others[name].values()):
            check((a == 0) == (b == 0), f"zeros of {name}: {a} and {b}")
            check(abs(a - b) <= margin, f"{name}: {a} and {b}")
        moved += weight.bytes != onnx.weights_of(DIGITS)[name].bytes
    check(moved > 0, "something was trained")


def report(output):
    return json.loads(read(os.path.splitext(output)[0] + ".sparsify/report.json"))


def twice_the_batch(folder):
    for name, extra in (("one shot", []), ("gradual", ["--set", "schedule={name: cubic, every: 4}"]), ("rigl", ["--set", "schedule={name: dynamic, every: 4}"])):
        one, two = os.path.join(folder, "one.onnx"), os.path.join(folder, "two.onnx")
        common = ["prune", DIGITS, "--sparsity", "0.8", "--data", EVAL, "--threads", "1", "--overwrite", "--train-data", TRAIN, "--set", "train.steps=24", *extra]
        succeeds(*common, "-o", one, "--set", "train.batch_size=64")
        run = in_processes(2, *common, "-o", two, "--set", "train.batch_size=32", "--json")
        equal(run.returncode, 0, run.stderr)
        equal(json.loads(run.stdout)["result"]["pruned"], report(one)["result"]["pruned"], "one report, of the first process")
        check_same_model(one, two, 2e-5)
        equal(report(two)["training"]["samples"], report(one)["training"]["samples"], f"samples of {name}")
        equal(report(two)["metric"]["samples"], report(one)["metric"]["samples"], "samples measured")
    check(all(not name.startswith("two.sparsify/checkpoints") for name in listing(folder)), "a finished run removes its checkpoints")


def errors_are_said_once(folder):
    out = os.path.join(folder, "out.onnx")
    run = in_processes(2, "prune", DIGITS, "-o", out, "--sparsity", "0.5", "--epochs", "1")
    equal(run.returncode, 2, run.stderr)
    equal(run.stderr.count("data.train is missing"), 1, run.stderr)
    run = in_processes(2, "prune", DIGITS, "-o", out, "--sparsity", "0.5", "--train-data", TRAIN, "--set", "train.optimizer={name: sgd, lr: 100, weight_decay: 0.5}", "--set", "train.steps=200")
    equal(run.returncode, 3, run.stderr)
    check("the loss became" in run.stderr, run.stderr)
    check(not os.path.exists(out), "no model was written")
    for more, what in ((["--pattern", "2:4", "--permute"], "reorders channels"), (["--sparsity", "0.5", "--set", "initialise=kaiming"], "draws fresh weights")):
        run = in_processes(2, "prune", DIGITS, "-o", out, *more, "--train-data", TRAIN, "--set", "train.steps=2")
        equal(run.returncode, 2, run.stderr)
        equal(run.stderr.count(what), 1, run.stderr)
    run = in_processes(2, "prune", DIGITS, "-o", out, "--sparsity", "0.5")  # nothing to train: the first process does it
    equal(run.returncode, 0, run.stderr)
    equal(run.stdout.count("out.onnx"), sparsify("prune", DIGITS, "-o", out, "--sparsity", "0.5", "--overwrite").stdout.count("out.onnx"), "one table")


def interrupted_and_resumed(folder):
    out = os.path.join(folder, "out.onnx")
    prune = ["prune", DIGITS, "-o", out, "--sparsity", "0.8", "--train-data", TRAIN, "--threads", "1", "--set", "train.epochs=300", "--set", "train.batch_size=32"]
    run = start(2, *prune)
    latest = os.path.join(folder, "out.sparsify", "checkpoints", "training", "latest.json")
    for _ in range(1200):
        if os.path.exists(latest) or run.poll() is not None:
            break
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    said = run.communicate(timeout=120)[1]
    check(run.returncode != 0, said)
    check(os.path.exists(latest) and not os.path.exists(out), said)
    check_error(sparsify(*prune, "--resume"), 2, "another number of processes")


for name, function in (("two processes, half the batch", twice_the_batch), ("errors are said once", errors_are_said_once), ("interrupted and resumed", interrupted_and_resumed)):
    case(name, function)
finish()
