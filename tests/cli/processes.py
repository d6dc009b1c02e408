"""processes.py PROGRAM [NAME]: training in two processes gives what one gives with twice the batch. Needs a program that was built with MPI, and mpirun,
or one that was built with c10d; reports itself as skipped otherwise."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import tiny_onnx as onnx
from harness import DIGITS, EVAL, PROGRAM, SOURCE, case, check, check_error, equal, finish, listing, read, sparsify, succeeds

MPIRUN = shutil.which("mpirun")
VERSION = sparsify("--version").stdout

TRAIN = f"npz:{os.path.join(SOURCE, 'configs', 'quickstart', 'digits-train.npz')},scale=16"
ROOT = ["--allow-run-as-root"] if os.geteuid() == 0 else []
ENVIRONMENT = {**os.environ, "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMPI_MCA_odls_base_sigkill_timeout": "10", "OMPI_MCA_mpi_yield_when_idle": "1"}


def by_mpirun(count, command):
    return subprocess.Popen([MPIRUN, *ROOT, "-np", str(count), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


class ByVariables:
    """Starts processes with torchrun's variables, as torchrun would, and ends them all when one fails."""

    def __init__(self, count, command):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.outputs = [(tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")) for _ in range(count)]
        self.processes = []
        for rank, (out, err) in enumerate(self.outputs):
            variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
            self.processes.append(subprocess.Popen(command, stdout=out, stderr=err, text=True, env=environment))
        self.args, self.returncode = command, None

    def poll(self):
        codes = [process.poll() for process in self.processes]
        if any(code for code in codes):
            return next(code for code in codes if code)
        return None if None in codes else 0

    def send_signal(self, number):
        for process in self.processes:
            process.send_signal(number)

    def communicate(self, timeout):
        end = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        self.returncode = self.poll()
        for process in self.processes:
            try:
                process.wait(10 if self.returncode is not None else 0.1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        texts = []
        for stream in (0, 1):
            texts.append("")
            for files in self.outputs:
                files[stream].seek(0)
                texts[-1] += files[stream].read()
        return texts


LAUNCHERS = {}
if MPIRUN is not None and "MPI" in VERSION.replace("built without MPI", ""):
    LAUNCHERS["mpirun"] = by_mpirun
if "c10d" in VERSION:
    LAUNCHERS["torchrun"] = ByVariables
if not LAUNCHERS:
    print("skipped: needs mpirun and a program built with MPI (SPARSIFY_MPI=1 scripts/setup, scripts/build), or one built with c10d")
    sys.exit(77)
launch = None


def start(count, *arguments):
    return launch(count, [PROGRAM, *map(str, arguments)])


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
    check("the training diverged" in run.stderr, run.stderr)
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


def ranks_of(run):
    """Process ids of the program's processes, however they were started."""
    if isinstance(run, ByVariables):
        return [process.pid for process in run.processes]
    return [int(pid) for pid in read(f"/proc/{run.pid}/task/{run.pid}/children").split()]


def one_killed_and_resumed(folder):
    """Whichever process dies, all end, the checkpoint is whole, and the resumed run gives the bytes of the undisturbed one."""
    def prune(name):
        return ["prune", DIGITS, "-o", os.path.join(folder, name + ".onnx"), "--sparsity", "0.8", "--train-data", TRAIN, "--threads", "1", "--set", "train.epochs=2", "--set", "train.batch_size=32",
                "--set", "train.checkpoint_steps=2"]
    undisturbed = in_processes(2, *prune("whole"))
    equal(undisturbed.returncode, 0, undisturbed.stderr)
    for rank in (0, 1):
        name = f"killed{rank}"
        checkpoints = os.path.join(folder, name + ".sparsify", "checkpoints", "training")
        run = start(2, *prune(name))
        for _ in range(6000):
            if os.path.exists(os.path.join(checkpoints, "latest.json")) or run.poll() is not None:
                break
            time.sleep(0.01)
        equal(len(ranks_of(run)), 2, "processes that run")
        os.kill(ranks_of(run)[rank], signal.SIGKILL)
        said = run.communicate(timeout=120)[1]
        check(run.returncode != 0, said)
        check(os.path.exists(os.path.join(checkpoints, "latest.json")) and not os.path.exists(os.path.join(folder, name + ".onnx")), "killed after a checkpoint and before the end")
        resumed = in_processes(2, *prune(name), "--resume")
        equal(resumed.returncode, 0, resumed.stderr)
        check(read(os.path.join(folder, name + ".onnx")) == read(os.path.join(folder, "whole.onnx")), f"the bytes after process {rank} was killed")
        equal(report(os.path.join(folder, name + ".onnx"))["training"]["resumed"], 1, "times resumed")


def not_built_in(folder):
    """Said, not ignored: processes that each train alone would all write one file."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMI"))}
    run = subprocess.run([PROGRAM, "prune", DIGITS, "-o", os.path.join(folder, "out.onnx"), "--sparsity", "0.5"], capture_output=True, text=True,
                         env={**alone, "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"})
    check_error(run, 2, "2 processes were started by torchrun", "torchrun", "SPARSIFY_C10D")


for launcher, launch in LAUNCHERS.items():
    for name, function in (("two processes, half the batch", twice_the_batch), ("errors are said once", errors_are_said_once), ("interrupted and resumed", interrupted_and_resumed), ("one process killed and resumed", one_killed_and_resumed)):
        case(f"{launcher}: {name}", function)
if "torchrun" not in LAUNCHERS:
    case("torchrun: not built in", not_built_in)
finish()
