"""initialise.py PROGRAM [NAME]: fresh weights, pruning at initialisation and lottery tickets from an ONNX file alone."""
import json
import math
import os

import tiny_onnx as onnx
from harness import DIGITS, EVAL, SOURCE, case, check, check_error, equal, finish, read, sparsify, succeeds

TRAIN = f"npz:{os.path.join(SOURCE, 'configs', 'quickstart', 'digits-train.npz')},scale=16"
QUICK = ["--train-data", TRAIN, "--set", "train.steps=20", "--threads", "1"]
FRESH = ["--set", "initialise={name: kaiming, seed: 1}"]


def values(path, name):
    return onnx.weights_of(path)[name].values()


def report(output):
    return json.loads(read(os.path.splitext(output)[0] + ".sparsify/report.json"))


def zeros(path):
    return {name: [i for i, value in enumerate(weight.values()) if value == 0] for name, weight in onnx.weights_of(path).items() if len(weight.values()) > 200}


def deviation(numbers):
    mean = sum(numbers) / len(numbers)
    return math.sqrt(sum((number - mean) ** 2 for number in numbers) / len(numbers))


def fresh_weights(folder):
    out = os.path.join(folder, "fresh.onnx")
    run = succeeds("prune", DIGITS, "-o", out, "--sparsity", "0", *FRESH)
    check("has learned nothing" in run.stderr, run.stderr)
    check(any("Fresh weights (kaiming normal, seed 1)" in note for note in report(out)["notes"]), report(out)["notes"])
    check(all(one["passed"] for one in report(out)["verification"]), report(out)["verification"])
    for name, fan_in in (("block1.conv1.weight", 16 * 9), ("down.weight", 16 * 9), ("block2.conv1.weight", 32 * 9), ("classifier.weight", 32)):
        drawn = values(out, name)
        expected = math.sqrt(2 / fan_in)
        check(abs(deviation(drawn) / expected - 1) < 5 / math.sqrt(2 * len(drawn)), f"{name}: deviation {deviation(drawn)} instead of {expected}")
        check(drawn != values(DIGITS, name), f"{name} is drawn")
    equal(set(values(out, "classifier.bias")), {0.0}, "biases")
    for name, value in (("stem_norm.weight", 1), ("stem_norm.bias", 0), ("stem_norm.running_mean", 0), ("stem_norm.running_var", 1), ("block3.norm2.weight", 1)):
        equal(set(values(out, name)), {float(value)}, name)


def same_weights(folder):
    files = {}
    for name, settings in (("a", FRESH + ["--threads", "1"]), ("b", FRESH + ["--threads", "2"]), ("c", ["--set", "initialise={name: kaiming, seed: 2}"]),
                           ("d", ["--set", "initialise=kaiming", "--seed", "1"])):
        files[name] = os.path.join(folder, name + ".onnx")
        succeeds("prune", DIGITS, "-o", files[name], "--sparsity", "0.5", *settings)
    equal(read(files["a"]), read(files["b"]), "one thread and two")
    equal(read(files["a"]), read(files["d"]), "the run's seed, where initialise has none")
    check(read(files["a"]) != read(files["c"]), "another seed")


def at_initialisation(folder):
    for criterion in ("snip", "grasp", "{name: synflow, rounds: 5}"):
        out = os.path.join(folder, "out.onnx")
        succeeds("prune", DIGITS, "-o", out, "--overwrite", "--sparsity", "0.7", "--criterion", criterion, "--input", "image:1,1,8,8", "--data", EVAL,
                 "--set", "prune.0.min_density=0", *FRESH, *QUICK, "--set", "train.steps=60", "--lr", "0.1", "--set", "data.calibration={from: train, samples: 64}")
        left = report(out)
        equal(left["result"]["pruned"], math.floor(0.7 * left["result"]["prunable"] + 0.5), f"pruned by {criterion}")
        check(all(one["passed"] for one in left["verification"]), left["verification"])
        check(left["metric"]["before"] > 90, f"the dense model of the report is the trained input: {left['metric']}")
        check(left["metric"]["after"] > 20, f"sixty steps from fresh weights learn something: {left['metric']}")


def scores_fresh_weights(folder):
    fresh, pruned = os.path.join(folder, "fresh.onnx"), os.path.join(folder, "pruned.onnx")
    succeeds("prune", DIGITS, "-o", fresh, "--sparsity", "0", *FRESH)
    succeeds("prune", fresh, "-o", pruned, "--sparsity", "0.6")
    at_once = os.path.join(folder, "at_once.onnx")
    succeeds("prune", DIGITS, "-o", at_once, "--sparsity", "0.6", *FRESH)
    equal(zeros(at_once), zeros(pruned), "masks of the fresh weights, in one run and in two")
    equal(read(at_once), read(pruned), "the files")


def same_mask_other_weights(folder):
    ticket, again, other = (os.path.join(folder, name) for name in ("ticket.onnx", "again.onnx", "other.onnx"))
    imp = ["--set", "schedule={name: imp, rounds: 2, rewind: start}"]
    succeeds("prune", DIGITS, "-o", ticket, "--sparsity", "0.8", *FRESH, *imp, *QUICK)
    equal(report(ticket)["training"]["round_sparsities"][-1], 0.8, "the last round")
    plan = ["--plan", os.path.join(folder, "ticket.sparsify", "plan.json")]
    succeeds("prune", DIGITS, "-o", again, *plan, *FRESH, *QUICK)
    equal(read(again), read(ticket), "the ticket trained again from its own start")
    succeeds("prune", DIGITS, "-o", other, *plan, "--set", "initialise={name: kaiming, seed: 2}", *QUICK)
    for name, expected in zeros(ticket).items():
        check(set(expected) <= set(zeros(other)[name]), f"zeros of {name}")
    check(read(other) != read(ticket), "other weights")
    check(all(one["passed"] for one in report(other)["verification"]), report(other)["verification"])


def bad_input(folder):
    out = os.path.join(folder, "out.onnx")
    prune = ["prune", DIGITS, "-o", out, "--sparsity", "0.5"]
    check_error(sparsify(*prune, "--set", "initialise=kaming"), 2, "no initialiser is named \"kaming\"", "initialise", "kaiming")
    check_error(sparsify(*prune, "--set", "initialise={name: kaiming, sead: 1}"), 2, "sead", fix="seed")
    check_error(sparsify(*prune, "--set", "initialise={name: kaiming, distribution: cauchy}"), 2, "cauchy", fix="normal")
    quantised = os.path.join(SOURCE, "..", "shared", "zoo", "resnet18_slim_qdq_int8", "resnet18_slim_qdq_int8.onnx")
    if os.path.exists(quantised):
        check_error(sparsify("prune", quantised, "-o", out, "--sparsity", "0.5", *FRESH), 3, "is quantised", fix="float model")
    succeeds(*prune)
    plan = ["--plan", os.path.join(folder, "out.sparsify", "plan.json")]
    check_error(sparsify("prune", DIGITS, "-o", os.path.join(folder, "b.onnx"), *plan, *QUICK, "--sparsity", "0.5", "--set", "schedule=cubic"), 2,
                "the plan gives them", "schedule", "one_shot")
    check(not os.path.exists(os.path.join(folder, "b.onnx")), "no model was written")


for name, function in (("fresh weights have their variance, norms their state", fresh_weights), ("seed and name decide, not threads", same_weights),
                       ("criteria score the fresh weights", scores_fresh_weights), ("pruning at initialisation trains and is exact", at_initialisation),
                       ("a ticket, and its mask on other weights", same_mask_other_weights), ("bad input", bad_input)):
    case(name, function)
finish()
