"""plugins.py PROGRAM [NAME]: user plugins, the example of docs/ first."""
import csv
import json
import math
import os
import re
import shutil
import struct
import subprocess

import tiny_onnx as onnx
from harness import DIGITS, PROGRAM, SOURCE, case, check, check_error, equal, finish, listing, read, sparsify, succeeds, write

FOLDER = os.path.join(os.path.dirname(PROGRAM), "..", "lib", "plugins")
EXAMPLE = os.path.join(FOLDER, "libplugin_example.so")
ROWS = os.path.join(FOLDER, "libplugin_pattern.so")


def adds(where):
    names = json.loads(succeeds("list", "--json", "--plugin", EXAMPLE).stdout)
    check("channel_relative" in names["criterion"] and "front_first" in names["allocation"], f"the plugins are not listed: {names}")
    check("channel_relative" not in json.loads(succeeds("list", "--json").stdout)["criterion"], "listed without --plugin")
    options = json.loads(succeeds("explain", "criterion", "channel_relative", "--json", "--plugin", EXAMPLE).stdout)["options"]
    equal([(o["key"], o["default"], o["range"]) for o in options], [("power", 1.0, "[0, 2]")], "options")


def prunes(where):
    out = os.path.join(where, "slim.onnx")
    arguments = ["prune", DIGITS, "-o", out, "--sparsity", "0.7", "--criterion", "channel_relative", "--allocation", "front_first", "--json"]
    report = json.loads(succeeds(*arguments, "--plugin", EXAMPLE).stdout)
    result = report["result"]
    equal(result["pruned"], int(0.7 * result["prunable"] + 0.5), "pruned weights")
    check(all(check["passed"] for check in report["verification"]), "verification")
    recipe = os.path.join(where, "slim.sparsify", "recipe.yaml")
    again = os.path.join(where, "again.onnx")
    succeeds("prune", "--config", recipe, "-o", again, "--plugin", EXAMPLE)
    equal(read(again), read(out), "the model of the resolved recipe")
    check_error(sparsify("prune", "--config", recipe, "-o", os.path.join(where, "none.onnx")), 2, what="channel_relative", where="recipe.yaml")
    # Power 0 is magnitude: the same model as the built-in criterion's.
    by_power = os.path.join(where, "power.onnx")
    magnitude = os.path.join(where, "magnitude.onnx")
    succeeds("prune", DIGITS, "-o", by_power, "--sparsity", "0.7", "--criterion", "{name: channel_relative, power: 0}", "--plugin", EXAMPLE)
    succeeds("prune", DIGITS, "-o", magnitude, "--sparsity", "0.7")
    equal(read(by_power), read(magnitude), "the model by power 0")
    check_error(sparsify("prune", DIGITS, "-o", out, "--overwrite", "--sparsity", "0.7", "--plugin", EXAMPLE, "--criterion", "{name: channel_relative, power: 3}"),
                2, what="power is 3", fix="[0, 2]")


def kernel_rows(path):
    """name -> the weights of every kernel row, of the layers that are pruned by default."""
    return {name: [w.values()[i:i + 3] for i in range(0, len(w.values()), 3)]
            for name, w in onnx.weights_of(path).items() if w.shape[2:] == [3, 3] and name != "stem.weight"}


def keeps_rows(where):
    """The highest rows of every layer, found here by sorting, are the ones that stay, and nothing else is touched."""
    out = os.path.join(where, "rows.onnx")
    report = json.loads(succeeds("prune", DIGITS, "-o", out, "--sparsity", "0.7", "--pattern", "kernel_row", "--allocation", "uniform", "--json", "--plugin", ROWS).stdout)
    check(report["verification"] and all(check["passed"] for check in report["verification"]), "verification")
    before, after = kernel_rows(DIGITS), kernel_rows(out)
    equal(len(before), 7, "layers of 3x3 kernels")
    pruned = 0
    for name, rows in before.items():
        check(all(weight != 0 for row in rows for weight in row), f"{name} has zeros of its own")
        single = [struct.unpack("<f", struct.pack("<f", sum(abs(weight) for weight in row)))[0] for row in rows]
        keep = len(rows) - int(0.7 * len(rows) + 0.5)
        kept = set(sorted(range(len(rows)), key=lambda i: (-single[i], i))[:keep])
        equal(after[name], [row if i in kept else [0, 0, 0] for i, row in enumerate(rows)], f"rows of {name}")
        pruned += 3 * (len(rows) - keep)
    equal(report["result"]["pruned"], pruned, "pruned weights")

    verified = succeeds("verify", out, "--pattern", "kernel_row", "--plugin", ROWS)
    check("0 break it" in verified.stdout and "1 cannot take it" in verified.stdout, f"the classifier has no kernel: {verified.stdout}")
    single_weights = os.path.join(where, "weights.onnx")
    succeeds("prune", DIGITS, "-o", single_weights, "--sparsity", "0.7")
    broken = sparsify("verify", single_weights, "--pattern", "kernel_row", "--plugin", ROWS)
    check_error(broken, 4, what="7 tensors break the pattern kernel_row", where="weights.onnx")
    check("is neither kept nor pruned as a whole" in broken.stdout, f"the broken row is not named: {broken.stdout}")
    named = sparsify("prune", DIGITS, "-o", out, "--overwrite", "--sparsity", "0.7", "--pattern", "kernel_row", "--include", "classifier", "--plugin", ROWS)
    check_error(named, 2, what="no kernel of height and width")


def rises(where):
    """cosine_rise while kernel rows are pruned: every change of the masks has the sparsity of the formula, the last one the target's."""
    out = os.path.join(where, "slim.onnx")
    data = ["--train-data", f"npz:{os.path.join(os.path.dirname(DIGITS), 'digits-train.npz')},scale=16", "--set", "train.steps=16", "--set", "train.log_every=1"]
    succeeds("prune", DIGITS, "-o", out, "--sparsity", "0.6", "--pattern", "kernel_row", "--set", "schedule={name: cosine_rise, every: 2}", *data, "--plugin", ROWS)
    report = json.loads(read(os.path.join(where, "slim.sparsify", "report.json")))
    check(report["verification"] and all(check["passed"] for check in report["verification"]), "verification")
    with open(os.path.join(where, "slim.sparsify", "training.csv")) as file:
        curve = [float(line["sparsity"]) for line in csv.DictReader(file) if line["kind"] == "step"]
    equal(len(curve), 16, "steps")
    for step, sparsity in enumerate(curve):
        position = min(step // 2 * 2 / 16 / 0.75, 1)  # the masks change every second step; the program ends at 0.75 unless told
        formula = 0.6 * (1 - math.cos(math.pi * position)) / 2
        check(abs(sparsity - formula) < 1 / 15360, f"step {step + 1}: sparsity {sparsity} instead of {formula}")  # one of 15,360 rows
    rows = [row for of_layer in kernel_rows(out).values() for row in of_layer]
    check(all(all(weight == 0 for weight in row) or all(weight != 0 for weight in row) for row in rows), "a row is neither kept nor pruned as a whole")
    equal(sum(row == [0, 0, 0] for row in rows), int(0.6 * len(rows) + 0.5), "pruned rows")
    check_error(sparsify("prune", DIGITS, "-o", out, "--overwrite", "--sparsity", "0.6", "--set", "schedule={name: cosine_rise, end: 0}", *data, "--plugin", ROWS),
                2, what="end is 0")


def refuses(where):
    def refused(path, what, fix):
        run = sparsify("list", "--plugin", path)
        check_error(run, 2, what=what, where=os.path.basename(path), fix=fix)
        equal(run.stdout, "", "stdout")

    refused(os.path.join(FOLDER, "libplugin_other_version.so"), "version 99 of the plugin interface, this program has 1", "build the plugin again")
    refused(os.path.join(FOLDER, "libplugin_none.so"), "no sparsify plugin", "SPARSIFY_PLUGIN()")
    refused(os.path.join(FOLDER, "libplugin_duplicate.so"), '"magnitude", and there is one', "other names")
    refused(os.path.join(FOLDER, "libplugin_unresolved.so"), "sparsify_function_of_the_future", "headers")
    refused(write(os.path.join(where, "text.so"), "not a library"), "does not load", "shared library")
    refused(os.path.join(where, "absent.so"), "No such file", "shared library")
    os.chdir(where)
    shutil.copy(EXAMPLE, "local.so")
    succeeds("list", "--plugin", "local.so")  # beside the caller, not in the system's folders
    check_error(sparsify("list", "--plugin", EXAMPLE, "--plugin", "local.so"), 2, what="channel_relative", where="local.so")
    os.chdir(SOURCE)  # the folder goes, and MKL finds itself in no folder that is gone


def documented(where):
    command = re.search(r"^g\+\+ .*$", read(os.path.join(SOURCE, "docs", "plugins.md")).decode(), re.M).group(0)
    if shutil.which("g++") is None:
        print("SKIPPED: the documented command: no g++")
        return
    library = os.path.join(where, "libchannel_relative.so")
    build = subprocess.run(command.replace("-O2", "-O0").replace("-o libchannel_relative.so", f"-o {library}"), shell=True, cwd=SOURCE, capture_output=True, text=True)
    equal(build.returncode, 0, build.stderr)
    check("channel_relative" in succeeds("list", "criterion", "--plugin", library).stdout, "the library built by the documented command adds nothing")
    equal(sorted(listing(where)), ["libchannel_relative.so"], "files")


def solves(where):
    """row_scale: the kept weights of one output times one number."""
    library = os.path.join(FOLDER, "libplugin_solver.so")
    data = ["--calibration-data", f"npz:{os.path.join(os.path.dirname(DIGITS), 'digits-train.npz')},scale=16,limit=256", "--set", "repair=none", "--sparsity", "0.7", "--allocation", "uniform"]
    errors = {}
    for name in ("row_scale", "least_squares"):
        report = json.loads(succeeds("prune", DIGITS, "-o", os.path.join(where, f"{name}.onnx"), *data, "--solver", name, "--json", "--plugin", library).stdout)
        check(all(check["passed"] for check in report["verification"]), "verification")
        errors[name] = [(layer["error_before"], layer["error"]) for layer in report["layers"] if layer.get("error") is not None]
    check(len(errors["row_scale"]) == 7, f"layers solved: {len(errors['row_scale'])}")
    check(all(after < before for before, after in errors["row_scale"]), f"scaling does not help: {errors['row_scale']}")
    check(errors["least_squares"][0][1] < errors["row_scale"][0][1], "one number an output is better than one a weight")


def checks_solutions(where):
    library = os.path.join(FOLDER, "libplugin_bad_solver.so")
    data = ["--calibration-data", f"npz:{os.path.join(os.path.dirname(DIGITS), 'digits-train.npz')},scale=16,limit=64", "--sparsity", "0.5"]
    for name, what in [("nan_weights", "that is not finite, at row 0, column 0"), ("outside_mask", "outside its mask that is not 0"), ("other_shape", "where Double [16, 144] was asked for"),
                       ("single_precision", "that are Float [16, 144]"), ("no_weights", "that are none"), ("short_mask", "a mask of 3 elements"), ("other_mask", "(picks_mask)"),
                       ("keeps_everything", "keeps 2304 weights"), ("solver_throws", "failed: boom")]:
        run = sparsify("prune", DIGITS, "-o", os.path.join(where, "slim.onnx"), *data, "--solver", name, "--plugin", library)
        check_error(run, 2, what=what, where="--solver", fix="mend the plugin")
        check(f'the solver "{name}"' in run.stderr and "bug" not in run.stderr, f"the plugin is not named: {run.stderr}")
        check("slim.onnx" not in listing(where), "a model was written")


def checked(where):
    library = os.path.join(FOLDER, "libplugin_bad.so")
    out = os.path.join(where, "slim.onnx")

    def refused(flag, name, what, *more):
        run = sparsify("prune", DIGITS, "-o", out, "--sparsity", "0.5", flag, name, "--plugin", library, *more)
        check_error(run, 2, what=what, fix="mend the plugin")
        check(f'"{name.removeprefix("schedule=")}"' in run.stderr and "bug" not in run.stderr, f"the plugin is not named: {run.stderr}")
        equal(listing(where), {}, "files")

    refused("--criterion", "nan_scores", "scores element 0 of")
    refused("--criterion", "throws", "failed: boom")
    refused("--criterion", "throws_logic", "failed: too far")
    refused("--criterion", "throws_number", "failed: an exception that is no std::exception")
    refused("--criterion", "throws_at_once", "failed: no licence")
    refused("--criterion", "nan_scores", "scores element 0 of", "--pattern", "channel")
    refused("--allocation", "empty", "gives budgets for 0 of")
    refused("--allocation", "negative", "keeps -5 units of layer")
    refused("--allocation", "twice", "may be kept")
    refused("--allocation", "everything", "in all where the target keeps")
    refused("--pattern", "keeps_all", "weights were asked for")
    refused("--pattern", "wrong_size", "a mask of 3 elements")
    train = os.path.join(os.path.dirname(DIGITS), "digits-train.npz")
    trained = ["--train-data", f"npz:{train},scale=16", "--set", "train.steps=4"]
    refused("--set", "schedule=falls", "lets the sparsity fall from 0.5 to 0.1", *trained)
    refused("--set", "schedule=too_high", "gives the sparsity 1.7 at progress 0", *trained)
    refused("--set", "schedule=no_number", "gives the sparsity nan at progress 0", *trained)
    refused("--set", "schedule=ends_elsewhere", "ends at the sparsity 0.25 where the target is 0.5", *trained)


case("the example plugin adds a criterion and an allocation with their options", adds)
case("a run with the example plugin is exact, verified and repeatable", prunes)
case("the example pattern keeps the highest kernel rows and is verified", keeps_rows)
case("the example schedule raises the sparsity as its formula says", rises)
case("libraries that are no fitting plugin are refused with the reason", refuses)
case("what a plugin gives is checked, and what it throws is told as its own", checked)
case("the example solver is used as the built-in ones are", solves)
case("what a solver gives is checked", checks_solutions)
case("the command that the documentation gives builds a plugin that loads", documented)
finish()
