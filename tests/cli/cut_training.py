"""cut_training.py PROGRAM [NAME]: channels that are chosen, trained without and then cut: at once, gradually and in rounds."""
import json
import os

from harness import DIGITS, EVAL, SOURCE, case, check, check_error, equal, finish, read, sparsify, succeeds

TRAIN = f"npz:{os.path.join(SOURCE, 'configs', 'quickstart', 'digits-train.npz')},scale=16"
QUICK = ["--train-data", TRAIN, "--set", "train.steps=24", "--threads", "1", "--data", EVAL]
CHANNELS = ["--pattern", "channel", "--set", "prune.0.select.exclude=[classifier]"]


def report(output):
    return json.loads(read(os.path.splitext(output)[0] + ".sparsify/report.json"))


def sound(output):
    left = report(output)
    check(all(one["passed"] for one in left["verification"]), left["verification"])
    check({"outputs_equal", "outputs_equal_on_data"} <= {one["check"] for one in left["verification"]}, left["verification"])
    return left


def removed(left):
    return sum(group["units"] - group["kept"] for group in left["groups"])


def at_once(folder):
    out, plain, budget = (os.path.join(folder, name) for name in ("out.onnx", "plain.onnx", "budget.onnx"))
    succeeds("prune", DIGITS, "-o", plain, *CHANNELS, "--sparsity", "0.5", "--data", EVAL)
    succeeds("prune", DIGITS, "-o", out, *CHANNELS, "--sparsity", "0.5", *QUICK)
    left = sound(out)
    equal(left["groups"], report(plain)["groups"], "what one choice removes, trained or not")
    check(left["metric"]["after"] > report(plain)["metric"]["after"], f"training helps: {left['metric']}, {report(plain)['metric']}")
    succeeds("prune", DIGITS, "-o", budget, "--pattern", "channel", "--set", "prune.0.sparsity={macs: 0.5}", *QUICK)
    left = sound(budget)
    check(left["result"]["macs"] <= 0.5 * left["model"]["macs"], f"MACs {left['result']['macs']} of {left['model']['macs']}")


def gradual(folder):
    for schedule in ("{name: cubic, every: 3}", "{name: linear, every: 4}", "{name: exponential, every: 4}"):
        out, plain = os.path.join(folder, "out.onnx"), os.path.join(folder, "plain.onnx")
        succeeds("prune", DIGITS, "-o", out, "--overwrite", *CHANNELS, "--sparsity", "0.5", "--set", f"schedule={schedule}", *QUICK)
        left = sound(out)
        if not os.path.exists(plain):
            succeeds("prune", DIGITS, "-o", plain, *CHANNELS, "--sparsity", "0.5")
        equal(removed(left), removed(report(plain)), f"units removed by {schedule}")
        check(left["training"]["epochs"][-1]["sparsity"] > 0.3, "masks were held")
    out = os.path.join(folder, "macs.onnx")
    succeeds("prune", DIGITS, "-o", out, "--pattern", "channel", "--set", "prune.0.sparsity={macs: 0.5}", "--set", "schedule={name: cubic, every: 3}", *QUICK)
    left = sound(out)
    check(left["result"]["macs"] <= 0.5 * left["model"]["macs"], f"MACs {left['result']['macs']} of {left['model']['macs']}")
    check(left["result"]["macs"] > 0.3 * left["model"]["macs"], "not far below the budget")


def rounds(folder):
    out = os.path.join(folder, "out.onnx")
    succeeds("prune", DIGITS, "-o", out, *CHANNELS, "--sparsity", "0.5", "--set", "schedule={name: imp, rounds: 2, rewind: start}", "--set",
             "initialise={name: kaiming, seed: 3}", *QUICK)
    check(removed(sound(out)) > 0, "units are gone")


def same_bytes(folder):
    for name in ("a", "b"):
        succeeds("prune", DIGITS, "-o", os.path.join(folder, name + ".onnx"), *CHANNELS, "--sparsity", "0.4", "--set", "schedule={name: cubic, every: 3}", *QUICK)
    equal(read(os.path.join(folder, "a.onnx")), read(os.path.join(folder, "b.onnx")), "the same recipe")


def plan(folder):
    out, again = os.path.join(folder, "out.onnx"), os.path.join(folder, "again.onnx")
    succeeds("prune", DIGITS, "-o", out, *CHANNELS, "--sparsity", "0.5", *QUICK)
    succeeds("prune", DIGITS, "-o", again, "--plan", os.path.join(folder, "out.sparsify", "plan.json"), *QUICK)
    equal(read(out), read(again), "the plan, trained again")


def bad_input(folder):
    out = os.path.join(folder, "out.onnx")
    prune = ["prune", DIGITS, "-o", out, *CHANNELS, "--sparsity", "0.5", *QUICK]
    check_error(sparsify(*prune, "--set", "schedule=movement"), 2, "chooses single weights", "prune.0.pattern", "cubic")
    check_error(sparsify(*prune, "--set", "schedule=dynamic"), 2, "chooses single weights", "prune.0.pattern", "cubic")
    check_error(sparsify("prune", DIGITS, "-o", out, "--pattern", "layer", "--sparsity", "0.5", "--set", "schedule=cubic", *QUICK), 2, "layers go at once", fix="one_shot")
    check_error(sparsify("prune", DIGITS, "-o", out, "--pattern", "channel", "--set", "prune.0.sparsity={macs: 0.5}", "--set", "schedule=imp", *QUICK), 2,
                "not a budget", fix="number")
    check_error(sparsify(*prune, "--set", "schedule=cubic", "--set", "train.groups=[{include: [stem], frozen: true}]"), 2, "\"stem\" is frozen", "train.groups.0", "one_shot")
    check_error(sparsify(*prune, "--set", "repair=statistics"), 2, "does not repair as well", fix="finetune")
    check(not os.path.exists(out), "no model was written")


for name, function in (("channels chosen at once are trained without and cut", at_once), ("channels go gradually, and the final weights prove the cut", gradual),
                       ("rounds remove channels from fresh weights", rounds), ("same recipe, same bytes", same_bytes), ("a plan's cut is trained", plan), ("bad input", bad_input)):
    case(name, function)
finish()
