"""cut.py PROGRAM [NAME]: what a structured run leaves, and what it says of targets that cannot be met."""
import json
import os
import subprocess

import tiny_onnx as onnx
from harness import DIGITS, EVAL, SOURCE, case, check, check_error, equal, finish, listing, on_terminal, read, shared, sparsify, succeeds, write

HALF = ["--pattern", "channel", "--set", "prune.0.sparsity={macs: 0.5}", "--set", "threads=1", "--set", "report.formats=[json,csv]"]
TRAIN = f"npz:{os.path.join(SOURCE, 'configs', 'quickstart', 'digits-train.npz')},scale=16"
SMALL = ["audio_m5_slim", "convnext_slim", "fcn_resnet_slim", "gpt2_slim_dynamo", "lstm_lm_dynamo", "mobilenetv2_slim", "resnet18_slim_bn",
         "resnet18_slim_fp16", "resnet18_slim_qdq_int8", "resnext_slim", "squeezenet_slim", "vgg11_bn_slim"]


def half(folder):
    out = os.path.join(folder, "slim.onnx")
    report = json.loads(succeeds("prune", DIGITS, "-o", out, *HALF, "--json").stdout)
    check(report["result"]["macs"] <= 0.5 * report["model"]["macs"], f"MACs {report['result']['macs']} of {report['model']['macs']}")
    check(report["result"]["params"] < report["model"]["params"], "parameters did not shrink")
    checks = {check["check"]: check["passed"] for check in report["verification"]}
    equal(checks.get("outputs_equal"), True, "proof")
    check(all(checks.values()), f"checks {checks}")
    inspected = json.loads(succeeds("inspect", out, "--json").stdout)
    equal(inspected["model"]["macs"], report["result"]["macs"], "MACs of the written file")
    cut = [row for row in report["layers"] if row["shape_after"]]
    check(cut and all(len(row["shape"]) == len(row["shape_after"]) for row in cut), "rows with their new shapes")
    equal(sorted(os.listdir(os.path.join(folder, "slim.sparsify")))[0:1] != [], True, "evidence")
    check(not [name for name in os.listdir(folder) if "masked" in name], "the masked model is gone")


def replay(folder):
    first, second = os.path.join(folder, "a.onnx"), os.path.join(folder, "b.onnx")
    budget = ["--pattern", "channel", "--set", "prune.0.sparsity={memory: 0.7}", "--json"]
    made = json.loads(succeeds("prune", DIGITS, "-o", first, *budget).stdout)
    again = json.loads(succeeds("prune", DIGITS, "-o", second, "--plan", os.path.join(folder, "a.sparsify", "plan.json"), "--json").stdout)
    equal(read(first) == read(second), True, "same bytes")
    for key in ("prunable", "pruned", "sparsity"):
        equal(again["result"][key], made["result"][key], key)


def scope(folder):
    """What a rule selects counts although the cut leaves it whole, and the gate judges by that."""
    out = os.path.join(folder, "slim.onnx")

    def cut(pattern, sparsity, *flags):
        return json.loads(succeeds("prune", DIGITS, "-o", out, "--overwrite", "--pattern", pattern, "--set", f"prune.0.sparsity={sparsity}", "--json", *flags).stdout)

    report = cut("channel", "{memory: 0.7}")
    lost = report["model"]["params"] - report["result"]["params"]
    equal(report["result"]["pruned"], lost, "weights that are gone")
    equal(report["result"]["prunable"], report["model"]["params"] - 10, "weights in the scope of the rule: all but the classifier's biases")
    rows = [row for row in report["layers"] if row["pattern"] and not row["shape_after"]]
    check(rows and all(row["kept"] == row["params"] and row["skipped"] is None for row in rows), f"rows that stay whole {rows}")
    layers = cut("layer", "0.5")
    check(0 < layers["result"]["pruned"] < layers["result"]["prunable"], f"blocks {layers['result']}")
    run = sparsify("prune", DIGITS, "-o", out, "--overwrite", "--pattern", "layer", "--sparsity", "0.5", "--set", "gates={min_sparsity: 0.9}")
    equal(run.returncode, 4, f"exit code of a gate that fails: {run.stderr}")


def proven_on_given_data(folder):
    """The first batch of what data there is: data.eval, else data.calibration, else data.train; the report says which."""
    for name, flags in {"data.eval": ["--data", EVAL, "--train-data", TRAIN], "data.calibration": ["--calibration-data", TRAIN + ",limit=200", "--train-data", TRAIN],
                        "data.train": ["--train-data", TRAIN], "": []}.items():
        report = json.loads(succeeds("prune", DIGITS, "-o", os.path.join(folder, "slim.onnx"), "--overwrite", *HALF, "--set", "repair=none", "--json", *flags).stdout)
        found = [one for one in report["verification"] if one["check"] == "outputs_equal_on_data"]
        equal(len(found), 1 if name else 0, f"proofs on {name}")
        check(all(one["passed"] and f"the first batch of {name}: npz" in one["detail"] for one in found), f"{name}: {found}")
    run = sparsify("prune", DIGITS, "-o", os.path.join(folder, "none.onnx"), *HALF, "--set", "repair=none", "--train-data", "npz:gone.npz")
    check_error(run, 3, where="gone.npz")
    check(not os.path.exists(os.path.join(folder, "none.onnx")), "no model was written")


def dry(folder):
    run = succeeds("prune", DIGITS, *HALF, "--dry-run", "--json", cwd=folder)
    check(any(row["shape_after"] for row in json.loads(run.stdout)["layers"]), "shapes after the cut")
    equal(listing(folder), {}, "files")


def repaired(folder):
    def run(name, *flags):
        out = os.path.join(folder, name + ".onnx")
        return out, json.loads(succeeds("prune", DIGITS, "-o", out, *HALF, "--data", EVAL, "--json", *flags).stdout)

    raw, plain = run("raw")
    solved, report = run("solved", "--train-data", TRAIN)
    check(report["metric"]["after"] > plain["metric"]["after"], f"{report['metric']} after {plain['metric']}")
    check(all(one["passed"] for one in report["verification"]), f"checks {report['verification']}")
    rows = [row for row in report["layers"] if row["error"] is not None]
    check(rows and all(row["error"] < row["error_before"] for row in rows), f"errors {[(row['error_before'], row['error']) for row in rows]}")
    unrepaired, _ = run("none", "--train-data", TRAIN, "--set", "repair=none")
    equal(read(unrepaired) == read(raw), True, "repair: none leaves what stays as it was")
    again, _ = run("again", "--train-data", TRAIN, "--plan", os.path.join(folder, "raw.sparsify", "plan.json"))
    equal(read(again) == read(solved), True, "a replayed plan is repaired as well")
    _, matched = run("matched", "--train-data", TRAIN, "--set", "repair=statistics")
    check(all(one["passed"] for one in matched["verification"]), f"checks {matched['verification']}")
    _, chosen = run("chosen", "--train-data", TRAIN, "--criterion", "reconstruction")
    check(chosen["metric"]["after"] > plain["metric"]["after"], f"{chosen['metric']} after {plain['metric']}")
    check(chosen["result"]["macs"] <= 0.5 * chosen["model"]["macs"], "the budget holds")


def refused(folder):
    out = os.path.join(folder, "slim.onnx")

    def refuse(what, fix, *settings):
        flags = [flag for setting in settings for flag in ("--set", setting)]
        check_error(sparsify("prune", DIGITS, "-o", out, "--pattern", "channel", *flags), 2, what=what, fix=fix)
        equal(listing(folder), {}, "files")

    refuse("the least possible is", "allow more", "prune.0.sparsity={macs: 0.0001}")
    refuse("selects no group", "globs", "prune.0.sparsity=0.5", "prune.0.select.include=['qqqqqqqqqqqq*']")
    refuse("no sparsity", "say how much")
    refuse("measured latency", "macs", "prune.0.sparsity={latency: 0.5}")
    refuse("needs ", "calibration", "prune.0.sparsity=0.5", "prune.0.criterion=taylor")
    refuse("needs calibration data", "--train-data", "prune.0.sparsity=0.5", "prune.0.criterion=reconstruction")
    refuse("needs calibration data", "--train-data", "prune.0.sparsity=0.5", "repair=least_squares")
    refuse("needs calibration data", "--train-data", "prune.0.sparsity=0.5", "prune.0.solver=least_squares")
    refuse("chooses single weights", "least_squares", "prune.0.sparsity=0.5", "prune.0.solver=gradual")
    refuse("ranks units itself", "global", "prune.0.sparsity=0.5", "prune.0.allocation=erk")


def nothing(folder):
    """A rule that removes nothing says so, and why."""
    def warned(words, pattern, sparsity):
        run = succeeds("prune", DIGITS, "--dry-run", "--set", f"prune.0.pattern={pattern}", "--set", f"prune.0.sparsity={sparsity}", "--json")
        found = [text for text in json.loads(run.stdout)["warnings"] if "removes nothing" in text]
        check(len(found) == 1 and words in found[0] and found[0] in run.stderr, f"{words!r} in {found}, stderr {run.stderr}")

    warned("round_to (999)", "{channel: {round_to: 999}}", "0.3")
    warned("rounds to none", "channel", "0.0001")
    warned("min_width (999)", "{channel: {min_width: 999, scope: layer}}", "0.5")
    warned("residual blocks rounds to none", "layer", "0.1")
    warned("holds already", "channel", "{macs: 1.0}")


def held(folder):
    """What the user's own options hold is blamed on them."""
    def refuse(fix, pattern, sparsity, what=()):
        run = sparsify("prune", DIGITS, "--dry-run", "--set", f"prune.0.pattern={pattern}", "--set", f"prune.0.sparsity={sparsity}")
        check_error(run, 2, what=what, fix=fix)
        check("0.0000" not in run.stderr.split("fix:")[1], run.stderr)

    refuse("round_to (64)", "{channel: {round_to: 64}}", "{macs: 0.2}", "MACs cannot be met")
    refuse("min_width (999)", "{channel: {min_width: 999}}", "0.5", "cannot be reached")
    refuse("allow more", "channel", "{memory: 0.001}", "bytes of activations cannot be met")


def single(folder):
    """A layer of one unit is a group like any other, but for what can be cut of it."""
    values = [0.5, -0.25, 0.75, 1.0, -1.0, 0.125]
    model, _ = onnx.chain([([6, 1], values), ([1, 3], values[:3])])
    path = write(os.path.join(folder, "m.onnx"), model)
    check_error(sparsify("prune", path, "--dry-run", "--pattern", "channel", "--sparsity", "0.5", "--include", "fc0"), 2, what=("fc0", "it has a single unit"), fix="why")
    check("it has a single unit" in succeeds("inspect", path, "--groups").stdout, "inspect --groups")
    groups = json.loads(succeeds("why", path, "fc0", "--json").stdout)["groups"]
    check(any(group["name"] == "fc0" and group["units"] == 1 for group in groups), f"why: {groups}")
    check("a single unit" in succeeds("why", path, "fc0").stdout, "why")


def symbols(folder):
    """A size that one input is given holds for the others that share its symbol."""
    values = [0.5 - i / 37 for i in range(32)]
    nodes = [onnx.node("MatMul", ["x", "w0"], ["h"], "fc0"), onnx.node("Mul", ["h", "mask"], ["m"], "mul"), onnx.node("MatMul", ["m", "w1"], ["y"], "fc1")]
    model = onnx.model(nodes, [onnx.tensor("w0", [4, 8], values), onnx.tensor("w1", [8, 4], values)],
                       [onnx.value("x", ["N", "S", 4]), onnx.value("mask", ["N", "S", 1])], [onnx.value("y", ["N", "S", 4])])
    path = os.path.join(folder, "m.onnx")
    write(path, model)
    for given in ("x:1,16,4", "mask:1,16,1"):
        run = succeeds("prune", path, "-o", os.path.join(folder, "slim.onnx"), "--overwrite", "--pattern", "channel", "--sparsity", "0.5", "--input", given, "--json")
        checks = {one["check"]: one["passed"] for one in json.loads(run.stdout)["verification"]}
        equal(checks.get("outputs_equal"), True, f"proof with {given}")


def reconstruction(folder):
    """It is listed and explained like the criteria of weights, and refused where there is no cut."""
    check("reconstruction" in succeeds("list", "criterion").stdout, "list")
    options = json.loads(succeeds("explain", "criterion", "reconstruction", "--json").stdout)["options"]
    equal([(one["key"], one["default"]) for one in options], [("samples", 512)], "options")
    check('"reconstruction"' in succeeds("schema").stdout, "schema")
    check_error(sparsify("prune", DIGITS, "-o", os.path.join(folder, "slim.onnx"), "--criterion", "reconstruction", "--sparsity", "0.5"), 2,
                what="only in cuts", fix="pattern: channel")


def long_reasons(folder):
    values = [0.5 - i / 37 for i in range(32)]
    nodes = [onnx.node("MatMul", ["x", "w0"], ["h"], "fc0"), onnx.node("Softmax", ["h"], ["s"], "soft"), onnx.node("MatMul", ["s", "w1"], ["y"], "fc1")]
    path = os.path.join(folder, "m.onnx")
    write(path, onnx.model(nodes, [onnx.tensor("w0", [4, 8], values), onnx.tensor("w1", [8, 4], values)], [onnx.value("x", ["N", 4])], [onnx.value("y", ["N", 4])]))
    lines = on_terminal(120, "inspect", path, "--groups").splitlines()
    check("held by" in lines[0] and any("Softmax: it is" in line for line in lines), f"table {lines}")
    check(max(map(len, lines)) <= 120, "no line is wider than the table")


def families(folder):
    for name in SMALL:
        model = shared(os.path.join("zoo", name))
        if model is None:
            return
        path = next(os.path.join(model, file) for file in os.listdir(model) if file.endswith(".onnx"))
        report = json.loads(succeeds("prune", path, "-o", os.path.join(folder, name + ".onnx"), *HALF, "--json").stdout)
        check(len(report["groups"]) > 0 and all(one["passed"] for one in report["verification"]), f"{name}: {report['verification']}")


def counted(folder):
    model = shared("models", "akamaster-resnet20-cifar10-bn.onnx")
    if model is not None:
        # 3x3 on 1,024, 256 and 64 places: the stem, 6 of 16x16, then 32x16 and 5 of 32x32, 64x32 and 5 of 64x64, and the classifier
        stages = 9 * (3 * 16 + 6 * 256) * 1024 + 9 * (512 + 5 * 1024) * 256 + 9 * (2048 + 5 * 4096) * 64 + 640
        equal(json.loads(succeeds("inspect", model, "--json").stdout)["model"]["macs"], stages, "MACs of ResNet-20")


def elsewhere(folder):
    """Without ONNX Runtime the report says so; with one (SPARSIFY_PYTHON of the caller) it is asked as well."""
    for python, words in (("", "switched off"), ("/nonexistent/python", "cannot be started"), ("/bin/true", "ended unexpectedly")):
        report = json.loads(succeeds("prune", DIGITS, "-o", os.path.join(folder, "slim.onnx"), "--overwrite", *HALF, "--json", env=os.environ | {"SPARSIFY_PYTHON": python}).stdout)
        check(not [one for one in report["verification"] if "onnxruntime" in one["check"]], f"{python!r}: {report['verification']}")
        check(any("LibTorch alone" in note and words in note for note in report["notes"]), f"{python!r}: notes {report['notes']}")
    python = os.environ.get("SPARSIFY_PYTHON", "python3")
    if subprocess.run([python, "-c", "import onnxruntime"], capture_output=True).returncode != 0:
        print("SKIPPED: the proof on ONNX Runtime: no Python here has it")
        return
    report = json.loads(succeeds("prune", DIGITS, "-o", os.path.join(folder, "slim.onnx"), "--overwrite", *HALF, "--data", EVAL, "--json").stdout)
    checks = {one["check"]: one["passed"] for one in report["verification"]}
    equal([checks.get("outputs_equal_onnxruntime"), checks.get("outputs_equal_onnxruntime_on_data")], [True, True], "checks on ONNX Runtime")


case("MACs are counted behind the option-A shortcuts, whose padding is computed from shapes", counted)
case("half of the MACs go, exactly reported, and every check passes", half)
case("a plan cuts the same again, byte for byte", replay)
case("what a rule selects counts whether it is cut or not", scope)
case("with calibration data the weights that stay are solved again", repaired)
case("a cut is proven on the first batch of what data is given, and the report says which", proven_on_given_data)
case("a dry run tells the widths and writes nothing", dry)
case("targets that cannot be met and names that match nothing are refused, and nothing is written", refused)
case("a rule that removes nothing warns and says why", nothing)
case("a target that the user's own options hold is blamed on them", held)
case("a layer of one unit is named as such", single)
case("inputs that share a symbol have the size that one of them is given", symbols)
case("the criterion reconstruction is known, and refused outside cuts", reconstruction)
case("long reasons are shortened in the table of groups, not left out", long_reasons)
case("ONNX Runtime is asked where it is installed, and a report says where it was not", elsewhere)
case("graphs of many families are cut to half and proven equal", families)
finish()
