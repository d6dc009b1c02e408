"""criteria.py PROGRAM [NAME]: every criterion from the command line, and what is refused before any work."""
import json
import os

from harness import DIGITS, EVAL, EVAL_FILE, case, check, check_error, equal, finish, listing, read, sparsify, succeeds

TRAIN = "npz:" + EVAL_FILE.replace("eval", "train") + ",scale=16"
FEW = TRAIN + ",samples=64"
PER_CHANNEL = {"apoz", "batchnorm_scale", "feature_rank", "geometric_median", "hessian_trace", "mean_activation"}
NEEDS_TRAINING = {"movement", "soft_movement"}
IN_CUTS_ONLY = {"reconstruction"}  # tests/cli/cut.py
NEEDS_NO_DATA = {"magnitude", "random", "synflow", "geometric_median", "batchnorm_scale"}


def prune(folder, criterion, *more, out="slim.onnx"):
    return sparsify("prune", DIGITS, "-o", os.path.join(folder, out), "--overwrite", "--criterion", criterion, "--sparsity", 0.5, "--json", "--quiet", *more)


def names():
    return sorted(json.loads(succeeds("list", "criterion", "--json").stdout)["criterion"])


def nothing_written(folder):
    equal(listing(folder), {}, "files after a refusal")


def every_criterion(folder):
    for name in names():
        setting = "{name: synflow, rounds: 3}" if name == "synflow" else name
        if name in NEEDS_TRAINING | IN_CUTS_ONLY:
            continue
        run = prune(folder, setting, "--calibration-data", FEW)
        equal(run.returncode, 0, f"exit code of {name}:\n{run.stderr}\n")
        report = json.loads(run.stdout)
        check(abs(report["result"]["pruned"] / report["result"]["prunable"] - 0.5) < 1e-4, f"{name}: half of what it can score is pruned")


def explained(folder):
    for name in names():
        text = succeeds("explain", "criterion", name).stdout
        check(name in text and len(text) > 40, f"explain criterion {name}: {text}")


def without_data(folder):
    for name in names():
        if name in NEEDS_TRAINING | IN_CUTS_ONLY:
            continue
        run = prune(folder, "{name: synflow, rounds: 2}" if name == "synflow" else name)
        if name in NEEDS_NO_DATA:
            equal(run.returncode, 0, f"exit code of {name} without data:\n{run.stderr}\n")
        else:
            check_error(run, 2, f"the criterion {name} needs calibration data", "data.calibration", ("--train-data", "--calibration-data"))


def only_evaluation_data(folder):
    check_error(prune(folder, "taylor", "--data", EVAL), 2, "must stay unseen", "data.calibration", "--train-data")
    nothing_written(folder)
    run = prune(folder, "taylor", "--data", EVAL, "--set", "data.calibration={from: eval, samples: 32}")
    equal(run.returncode, 0, f"exit code when calibration says so:\n{run.stderr}\n")


def same_bytes(folder):
    for name in ("taylor", "wanda", "hessian_trace"):
        for out in ("a.onnx", "b.onnx"):
            equal(prune(folder, name, "--train-data", FEW, "--threads", 1, out=out).returncode, 0, f"exit code of {name}")
        equal(read(os.path.join(folder, "a.onnx")), read(os.path.join(folder, "b.onnx")), f"bytes of two runs with {name}")


def against_the_pattern(folder):
    for name in sorted(PER_CHANNEL):
        run = sparsify("prune", DIGITS, "-o", os.path.join(folder, "slim.onnx"), "--criterion", name, "--pattern", "2:4", "--train-data", FEW)
        check_error(run, 2, "one score", "prune.0.criterion", "single weights")
    nothing_written(folder)
    run = sparsify("prune", DIGITS, "-o", os.path.join(folder, "slim.onnx"), "--criterion", "wanda", "--pattern", "2:4", "--train-data", FEW, "--json")
    equal(run.returncode, 0, f"exit code of wanda with 2:4:\n{run.stderr}\n")


def training_only(folder):
    for name in sorted(NEEDS_TRAINING):
        check_error(prune(folder, name), 2, "training", "prune.0.criterion", "train")
    nothing_written(folder)


def what_cannot_be_scored(folder):
    report = json.loads(prune(folder, "apoz", "--train-data", FEW).stdout)
    reasons = {row["name"]: row["skipped"] for row in report["layers"]}
    check("no ReLU follows" in reasons["block1.conv2"], f"block1.conv2 ends in a sum: {reasons['block1.conv2']}")
    equal(reasons["block1.conv1"], None, "block1.conv1 has its ReLU")


def wrong_options(folder):
    check_error(prune(folder, "{name: taylor, order: 3}", "--train-data", FEW), 2, "3", "order", "")
    check_error(prune(folder, "{name: snip, accumulate: abs, pruned_may_return: true}", "--train-data", FEW), 2, "pruned_may_return", "prune.0.criterion", "signed")
    check_error(prune(folder, "{name: wanda, power: 2}", "--train-data", FEW), 2, "power", "prune.0.criterion", "norm_power")
    nothing_written(folder)


def two_rules(folder):
    rules = "prune=[{criterion: taylor, sparsity: 0.5}, {criterion: wanda, sparsity: 0.25, pattern: per_row, select: {include: [down]}}]"
    run = sparsify("prune", DIGITS, "-o", os.path.join(folder, "slim.onnx"), "--set", rules, "--train-data", FEW, "--json", "--quiet")
    equal(run.returncode, 0, f"exit code of two rules:\n{run.stderr}\n")
    rows = {row["name"]: row for row in json.loads(run.stdout)["layers"]}
    equal(rows["down"]["sparsity"], 0.25, "sparsity of the second rule's layer")


case("every criterion prunes half of what it can score", every_criterion)
case("every criterion is explained", explained)
case("a criterion that needs data says how to give it, the others run without", without_data)
case("evaluation data is not calibrated on unless the recipe says so", only_evaluation_data)
case("the same run gives the same bytes", same_bytes)
case("a criterion of whole channels is refused where the pattern chooses within them", against_the_pattern)
case("movement needs training", training_only)
case("a layer that cannot be scored is left alone, with the reason", what_cannot_be_scored)
case("wrong options are refused where they were written", wrong_options)
case("two rules with two criteria share one pass", two_rules)
finish()
