"""unlabelled.py PROGRAM: what a run does with unlabelled data when nothing else is said, reordered channels, and plans of both."""
import json
import os
import zipfile

from harness import DIGITS, EVAL, EVAL_FILE, case, check, check_error, equal, finish, read, sparsify, succeeds

FEW = "npz:" + EVAL_FILE.replace("eval", "train") + ",scale=16,samples=256"


def report(out):
    return json.loads(read(os.path.splitext(out)[0] + ".sparsify/report.json"))


def solved(run):
    return [layer for layer in run["layers"] if layer["error"] is not None]


def default_solver(folder):
    accuracy = {}
    for name, flags in (("default", []), ("statistics", ["--solver", "none"]), ("none", ["--solver", "none", "--set", "repair=none"])):
        out = os.path.join(folder, name + ".onnx")
        succeeds("prune", DIGITS, "-o", out, "--sparsity", "0.9", "--allocation", "uniform", "--train-data", FEW, "--data", EVAL, "--threads", "1", *flags)
        run = report(out)
        accuracy[name] = run["metric"]["after"]
        equal(bool(solved(run)), name == "default", f"{name} solves")
        equal(any("Solver: gradual, estimated at" in note for note in run["notes"]), name == "default", f"{name} says why")
    check(accuracy["default"] > accuracy["statistics"] > accuracy["none"], accuracy)
    out = os.path.join(folder, "default.onnx")
    again = os.path.join(folder, "again.onnx")
    succeeds("prune", "--config", os.path.join(folder, "default.sparsify/recipe.yaml"), "-o", again)
    equal(read(out), read(again), "bytes of the resolved recipe's run")

    plan = ["prune", DIGITS, "--plan", os.path.join(folder, "default.sparsify/plan.json"), "--threads", "1"]
    bare, full = os.path.join(folder, "bare.onnx"), os.path.join(folder, "full.onnx")
    succeeds(*plan, "-o", bare, "--data", EVAL)
    succeeds(*plan, "-o", full, "--data", EVAL, "--train-data", FEW)
    check(any("not part of a plan" in note for note in report(bare)["notes"]), report(bare)["notes"])
    check(any("least_squares" in note for note in report(full)["notes"]), report(full)["notes"])
    equal(report(bare)["result"]["pruned"], report(full)["result"]["pruned"], "zeros of one plan")
    check(report(full)["metric"]["after"] > report(bare)["metric"]["after"], "solved on the plan's masks")


def permuted(folder):
    out = os.path.join(folder, "out.onnx")
    succeeds("prune", DIGITS, "-o", out, "--pattern", "2:4", "--permute", "--data", EVAL)
    run = report(out)
    checks = {one["check"]: one["passed"] for one in run["verification"]}
    check(checks["permutation_exact"] and checks["permutation_equal"] and checks["pattern"], checks)
    moved = [layer for layer in run["layers"] if layer["kept_magnitude"] is not None]
    check(len(moved) >= 3, [layer["name"] for layer in moved])
    before, after = (sum(layer[key] for layer in moved) for key in ("kept_magnitude_before", "kept_magnitude"))
    check(after > before, f"{before} -> {after}")
    equal(sorted(os.listdir(folder)), ["out.onnx", "out.sparsify"], "nothing else is left")
    again = os.path.join(folder, "again.onnx")
    succeeds("prune", DIGITS, "-o", again, "--plan", os.path.join(folder, "out.sparsify/plan.json"))
    equal(read(out), read(again), "bytes of the replayed plan")
    succeeds("prune", DIGITS, "--pattern", "2:4", "--permute", "--dry-run")


def refused(folder):
    out = os.path.join(folder, "out.onnx")
    check_error(sparsify("prune", DIGITS, "-o", out, "--sparsity", "0.5", "--permute"), 2, ("permute reorders channels", "unstructured"), "prune.0.permute", "2:4")
    check_error(sparsify("prune", DIGITS, "-o", out, "--pattern", "2:4", "--set", "prune.0.min_density=0.7"), 2, ("2:4 keeps 0.5", "at least 0.7"), "min_density", "exclude")
    check_error(sparsify("prune", DIGITS, "-o", out, "--pattern", "2:4", "--set", "prune.0.max_density=0.3"), 2, ("2:4 keeps 0.5", "at most 0.3"), "max_density", "exclude")
    check_error(sparsify("prune", DIGITS, "-o", out, "--sparsity", "0.5", "--set", "prune.0.select.ops=[LSTM]"), 2, "selects no tensor", "prune.0",
                ("operator Conv: not selected", "select.ops"))
    equal(os.listdir(folder), [], "nothing was written")


def flat_records(folder):
    with zipfile.ZipFile(EVAL_FILE) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    shaped = b"(540, 1, 8, 8)"
    check(shaped in arrays["x.npy"], "shape of the images")
    flat = os.path.join(folder, "flat.npz")
    with zipfile.ZipFile(flat, "w") as archive:
        archive.writestr("x.npy", arrays["x.npy"].replace(shaped, b"(540, 64)".ljust(len(shaped))))
        archive.writestr("y.npy", arrays["y.npy"])
    metrics = []
    for data in (EVAL, f"npz:{flat},scale=16"):
        run = succeeds("eval", DIGITS, "--data", data, "--threads", "1", "--json")
        metrics.append(json.loads(run.stdout)["metric"]["value"])
        equal(run.stderr.count("read as [1, 8, 8]"), int("flat" in data), "lines on the shape")
    equal(metrics[0], metrics[1], "accuracy of the same records")


for name, function in (("flat records", flat_records), ("default solver", default_solver), ("permuted", permuted), ("refused", refused)):
    case(name, function)
finish()
