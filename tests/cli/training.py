"""training.py PROGRAM [NAME]: prune with training and finetune, as a user runs them: zeros stay, the rest is the input's, errors say what to do."""
import json
import math
import os
import resource
import signal
import subprocess
import time
import zipfile

import tiny_onnx as onnx
from harness import DIGITS, EVAL, EVAL_FILE, PROGRAM, SOURCE, case, check, check_error, equal, finish, listing, read, sparsify, succeeds, write

TRAIN = f"npz:{os.path.join(SOURCE, 'configs', 'quickstart', 'digits-train.npz')},scale=16"
QUICK = ["--train-data", TRAIN, "--set", "train.steps=20", "--threads", "1"]


def zeros_of(path):
    return {name: [i for i, v in enumerate(w.values()) if v == 0] for name, w in onnx.weights_of(path).items() if w.kind == onnx.FLOAT}


def report(output):
    return json.loads(read(os.path.splitext(output)[0] + ".sparsify/report.json"))


def prune_and_train(folder):
    out = os.path.join(folder, "slim.onnx")
    succeeds("prune", DIGITS, "-o", out, "--sparsity", "0.8", "--data", EVAL, *QUICK)
    left = report(out)
    check(all(one["passed"] for one in left["verification"]), left["verification"])
    equal(left["training"]["epochs"][-1]["step"], 20, "steps")
    plain = os.path.join(folder, "plain.onnx")
    succeeds("prune", DIGITS, "-o", plain, "--sparsity", "0.8", "--data", EVAL)
    check(left["metric"]["after"] > report(plain)["metric"]["after"], f"training helps: {left['metric']} against {report(plain)['metric']}")
    for name, zeros in zeros_of(plain).items():
        if len(zeros) > 8:
            equal([i for i, v in enumerate(onnx.weights_of(out)[name].values()) if v == 0], zeros, f"zeros of {name}")
    files = set(listing(os.path.join(folder, "slim.sparsify")))
    check({"training.csv", "events.out.tfevents.sparsify"} <= files, files)
    check("checkpoints" not in files, "a finished run removes its checkpoints")


def same_bytes(folder):
    for name in ("a", "b"):
        succeeds("prune", DIGITS, "-o", os.path.join(folder, name + ".onnx"), "--sparsity", "0.8", *QUICK)
    equal(read(os.path.join(folder, "a.onnx")), read(os.path.join(folder, "b.onnx")), "the same recipe")


def finetune(folder):
    slim, better = os.path.join(folder, "slim.onnx"), os.path.join(folder, "better.onnx")
    succeeds("prune", DIGITS, "-o", slim, "--pattern", "2:4")
    succeeds("finetune", slim, "-o", better, "--loss", "distill", "--teacher", DIGITS, "--data", EVAL, *QUICK)
    left = report(better)
    check(all(one["passed"] for one in left["verification"]), left["verification"])
    check("2:4" in {layer["pattern"] for layer in left["layers"]}, "the rule that the zeros obey is found and checked")
    before, after = zeros_of(slim), zeros_of(better)
    for name, zeros in before.items():
        if len(zeros) > 8:
            check(set(zeros) <= set(after[name]), f"zeros of {name}")
    check(read(slim) != read(better), "something was trained")


def schedules(folder):
    for name in ("{name: cubic, every: 2}", "{name: imp, rounds: 2, rewind: {to_step: 3}}", "{name: imp, rounds: 3, rewind: none}", "{name: imp, rounds: 2}",
                 "{name: dynamic, every: 3}", "{name: movement, every: 2}"):
        out = os.path.join(folder, "out.onnx")
        succeeds("prune", DIGITS, "-o", out, "--overwrite", "--sparsity", "0.7", "--set", f"schedule={name}", "--set", "prune.0.min_density=0", *QUICK)
        left = report(out)
        equal(left["result"]["pruned"], int(0.7 * left["result"]["prunable"] + 0.5), f"pruned by {name}")
        check(all(one["passed"] for one in left["verification"]), left["verification"])


def movement_criteria(folder):
    out = os.path.join(folder, "out.onnx")
    prune = ["prune", DIGITS, "-o", out, "--overwrite", "--sparsity", "0.7"]
    for name, schedule in (("movement", "{name: movement, every: 2}"), ("soft_movement", "{name: movement, soft: true, every: 2}")):
        succeeds(*prune, "--criterion", name, "--set", f"schedule={schedule}", *QUICK)
        if name == "movement":  # the penalty of the soft one decides how many go, in twenty steps none
            check(report(out)["result"]["pruned"] > 0, "movement prunes")
        else:
            succeeds(*[word for word in prune if word not in ("--sparsity", "0.7")], "--criterion", name, "--set", f"schedule={schedule}", *QUICK)
        other = "soft_movement" if name == "movement" else "movement"
        check_error(sparsify(*prune, "--criterion", other, "--set", f"schedule={schedule}", *QUICK), 2, "the schedule movement is", "prune.0.criterion", "schedule")
        check_error(sparsify(*prune, "--criterion", name, *QUICK), 2, "does not train by movement", "prune.0.criterion", "movement")
        check_error(sparsify(*prune, "--criterion", name), 2, "does not train by movement", "prune.0.criterion", "train")


def permuted_beside_its_data(folder):
    """The reordered model has no name yet, and its data file neither, when validation reads it again."""
    values = [math.sin(37 * i) * (3 if i % 8 < 2 else 1) for i in range(128)]
    model, outside = onnx.chain([([4, 16], values[:64]), ([16, 4], values[64:])], storage="external")
    path, out = write(os.path.join(folder, "m.onnx"), model), os.path.join(folder, "out.onnx")
    write(os.path.join(folder, "w.bin"), outside)
    rows = "".join(f"{i % 5 - 2},{i % 3 - 1},{i % 7 - 3},{i % 2},{i % 4}\n" for i in range(32))
    data = write(os.path.join(folder, "d.csv"), ("a,b,c,d,label\n" + rows).encode())
    succeeds("prune", path, "-o", out, "--pattern", "2:4", "--permute", "--train-data", f"csv:{data},label=label", "--epochs", "2", "--threads", "1", "--set", "prune.0.select.first_last=true",
             "--set", f"data.validation={{format: csv, path: {data}, label: label}}")
    checks = {one["check"]: one["passed"] for one in report(out)["verification"]}
    check(checks.get("permutation_equal") and all(checks.values()), f"checks {checks}")
    check(all(epoch["metric"] is not None for epoch in report(out)["training"]["epochs"]), report(out)["training"])
    equal(sorted(name for name in listing(folder) if "part" in name), [], "temporary files")


def frozen_layers(folder):
    """What is frozen is pruned in the network that is trained and validated, not in the export alone."""
    for pattern in ("unstructured", "channel"):
        out = os.path.join(folder, pattern + ".onnx")
        data = json.dumps({"format": "npz", "path": os.path.join(SOURCE, "configs", "quickstart", "digits-eval.npz"), "scale": 16})
        succeeds("prune", DIGITS, "-o", out, "--pattern", pattern, "--sparsity", "0.7", "--data", EVAL, *QUICK, "--set", "train.steps=10", "--set", f"data.validation={data}",
                 "--set", "train.groups=[{include: [block2.conv1, block3.conv1, down], frozen: true}]")
        left = report(out)
        check(all(one["passed"] for one in left["verification"]), left["verification"])
        training = left["training"]
        validated = training["epochs"][training["best_epoch"]]["metric"]
        check(abs(validated - left["metric"]["after"]) < 0.5, f"{pattern}: {validated} while training, {left['metric']} of the result")
    before, after = (onnx.weights_of(path)["block2.conv1.weight"].values() for path in (DIGITS, os.path.join(folder, "unstructured.onnx")))
    check(all(new in (0, old) for old, new in zip(before, after)), "a frozen weight is pruned or stays")
    check(0 in after, "frozen weights are pruned")


def texts(folder):
    """Mean of three embeddings, a layer with a bias of zeros, a layer; and a table of token ids with their class."""
    wave = lambda count, by: [math.sin(by * i + 1) for i in range(count)]
    nodes = [onnx.node("Gather", ["e", "x"], ["rows"], "lookup"), onnx.node("ReduceMean", ["rows"], ["mean"], "mean", axes=[1], keepdims=0),
             onnx.node("MatMul", ["mean", "w0"], ["m"], "fc0"), onnx.node("Add", ["m", "b0"], ["a"], "add"), onnx.node("Relu", ["a"], ["r"], "relu"),
             onnx.node("MatMul", ["r", "w1"], ["y"], "fc1")]
    tensors = [onnx.tensor("e", [6, 4], [0.0] * 4 + wave(20, 37)), onnx.tensor("w0", [4, 8], wave(32, 11)), onnx.tensor("b0", [8], [0.0] * 8), onnx.tensor("w1", [8, 3], wave(24, 5))]
    model = write(os.path.join(folder, "texts.onnx"), onnx.model(nodes, tensors, [onnx.value("x", ["N", 3], onnx.INT64)], [onnx.value("y", ["N", 3])]))
    table = write(os.path.join(folder, "texts.csv"), "a,b,c,label\n" + "".join(f"{i % 6},{i * i % 6},{i // 3 % 6},{i % 3}\n" for i in range(48)))
    return model, ["--train-data", f"csv:{table},label=label", "--threads", "1", "--epochs", "2", "--lr", "0.1"]


def finetune_embeddings(folder):
    """Pruned embeddings stay pruned, and the row of a padding token stays zero."""
    model, train = texts(folder)
    slim, out = os.path.join(folder, "slim.onnx"), os.path.join(folder, "out.onnx")
    succeeds("prune", model, "-o", slim, "--sparsity", "0.5", "--include", "e", "--set", "prune.0.select.ops=[Gather]", "--set", "prune.0.select.kinds=[embedding]")
    succeeds("finetune", slim, "-o", out, *train)
    before, after = (zeros_of(path)["e"] for path in (slim, out))
    equal(len(before), 12, "pruned embeddings")
    check(set(range(4)) <= set(before), "the row of zeros")
    equal(after, before, "zeros of the embedding")
    check(onnx.weights_of(out)["e"].values() != onnx.weights_of(slim)["e"].values(), "the rest of it is trained")


def counts_what_was_written(folder):
    """Biases that begin as zeros and learn are counted as they came out, in the figures, the rows and the gates."""
    model, train = texts(folder)
    for name, extra in (("kept", []), ("pruned", ["--set", "prune.0.select.first_last=true", "--sparsity", "0.5"]), ("cut", ["--pattern", "channel", "--sparsity", "0.5"])):
        out = os.path.join(folder, name + ".onnx")
        succeeds(*(["finetune"] if name == "kept" else ["prune"]), model, "-o", out, *extra, *train)
        zeros = zeros_of(out)
        check(len(zeros["b0"]) < 8, f"the bias learned: {zeros['b0']}")
        left = report(out)
        written = sum(len(weight.values()) - len(zeros[key]) for key, weight in onnx.weights_of(out).items() if key in zeros)
        equal(left["result"]["nonzero"], written, f"numbers that are not zero, {name}")
        rows = {row["initializer"]: row for row in left["layers"]}
        if name != "cut":
            equal(rows["b0"]["sparsity"], len(zeros["b0"]) / 8, f"the row of the bias, {name}")
            for gate, code in ((written, 0), (written - 1, 4)):
                run = sparsify(*(["finetune"] if name == "kept" else ["prune"]), model, "-o", out, "--overwrite", *extra, *train, "--set", f"gates.max_params={gate}")
                equal(run.returncode, code, run.stderr)


def wrong_label(folder):
    """Found before the first step, by the record's place; what is left out (-100) is no wrong label."""
    model, _ = texts(folder)
    run = ["finetune", model, "-o", os.path.join(folder, "out.onnx"), "--threads", "1", "--epochs", "1"]
    for label, fits in (("3", False), ("-1", False), ("-100", True)):
        rows = "".join(f"1,2,{i % 6},{label if i == 37 else i % 3}\n" for i in range(48))
        table = write(os.path.join(folder, "labels.csv"), "a,b,c,label\n" + rows)
        one = sparsify(*run, "--train-data", f"csv:{table},label=label", "--set", "train.checkpoint_steps=1", "--set", "train.batch_size=1", "--overwrite")
        if fits:
            equal(one.returncode, 0, one.stderr)
            continue
        check_error(one, 3, f"the label is {label}, the classes are 0 to 2", ("data.train", "labels.csv", "39"), "the model's")
        check("out.sparsify" not in os.listdir(folder), "no step was taken: there is no checkpoint")


def finetune_cut(folder):
    cut, out = os.path.join(folder, "cut.onnx"), os.path.join(folder, "out.onnx")
    succeeds("prune", DIGITS, "-o", cut, "--pattern", "channel", "--sparsity", "0.5")
    run = sparsify("finetune", cut, "-o", out, *QUICK)
    equal(run.returncode, 0, run.stderr)
    check("no weight of the model is zero" in run.stderr, run.stderr)
    equal(report(out)["model"]["params"], report(cut)["result"]["params"], "parameters of the cut model")


def nothing_to_learn(folder):
    """Without labels and without a dense model there is no loss; with labels that are all left out neither."""
    rows = [[(i * 7 + j * 3) % 11 / 11 for j in range(4)] for i in range(32)]
    table = "".join(",".join(map(str, row)) + "\n" for row in rows)
    write(os.path.join(folder, "out.csv"), "a,b,c,d,label\n" + "".join(line + ",-100\n" for line in table.splitlines()))
    write(os.path.join(folder, "m.onnx"), onnx.chain([([4, 8], [0.5 - i / 37 for i in range(32)]), ([8, 4], [0.3 - i / 41 for i in range(32)])])[0])
    tune = ["finetune", "m.onnx", "-o", "out.onnx", "--threads", "1", "--epochs", "1", "--overwrite"]
    check_error(sparsify(*tune, "--set", "data.train={format: random, limit: 32}", cwd=folder), 2, "its own teacher", "train.distill.teacher", "--teacher")
    check("out.onnx" not in listing(folder), "a model that learned nothing")
    run = succeeds(*tune, "--train-data", "csv:out.csv,label=label", cwd=folder)
    check("nothing to learn from" in run.stderr and "-100" in run.stderr, run.stderr)
    long = succeeds("prune", DIGITS, "-o", "long.onnx", "--sparsity", "0.5", *QUICK, "--set", "train.steps=2", "--set", "train.lr_schedule={name: cosine, warmup: 100}", cwd=folder)
    check("warm-up is longer than the run of 2 steps" in long.stderr and "nothing to learn" not in long.stderr, long.stderr)
    check_error(sparsify("prune", DIGITS, "-o", "no.onnx", "--sparsity", "0.5", *QUICK, "--set", "train.distill={features: [relu]}", cwd=folder), 2, "relu", "train.distill.features", "inspect")


def bad_input(folder):
    out = os.path.join(folder, "out.onnx")
    prune = ["prune", DIGITS, "-o", out, "--sparsity", "0.5"]
    check_error(sparsify(*prune, "--epochs", "1"), 2, "data.train is missing", fix="--train-data")
    check_error(sparsify(*prune, "--set", "schedule=cubic"), 2, "prunes while it trains", fix="train")
    check_error(sparsify(*prune, *QUICK, "--set", "train.epoch=3"), 2, "epoch", fix="epochs")
    check_error(sparsify(*prune, *QUICK, "--set", "train.validation=held"), 2, "no data set \"held\"")
    check_error(sparsify(*prune, *QUICK, "--set", "train.patience=2"), 2, "patience")
    check_error(sparsify("prune", DIGITS, "-o", out, "--pattern", "2:4", "--set", "schedule=linear", *QUICK), 2, "this rule gives none")
    check_error(sparsify(*prune, "--epochs", "1", "--train-data", TRAIN + ",skip=100000"), 2, "skip is 100000")
    check_error(sparsify(*prune, *QUICK, "--set", "train.drop_last=true", "--set", "train.batch_size=100000"), 2, "makes no batch")
    for schedule in ("cubic", "{name: imp, rounds: 2}", "dynamic", "movement"):
        check_error(sparsify(*prune, *QUICK, "--set", f"schedule={schedule}", "--set", "train.groups=[{include: [block2.conv1], frozen: true}]"), 2,
                    ("block2.conv1.weight", "not trained: frozen by train.groups.0"), "prune.0.select", ("exclude", "one_shot"))
    check_error(sparsify(*prune, *QUICK, "--set", "schedule={name: imp, rounds: 2, fraction: 0.5}"), 2, "fraction", "schedule.fraction", "keep one")
    check_error(sparsify(*prune, *QUICK, "--set", "schedule={name: imp, rounds: 2, rewind: {to_step: 1, to_epoch: 1}}"), 2, "a step and an epoch", "schedule.rewind", "to_step")
    check_error(sparsify("finetune", DIGITS, "-o", out, *QUICK, "--set", "repair=statistics"), 2, "repairs nothing", "--set (repair)", "prune")
    check_error(sparsify(*prune, *QUICK, "--loss", "distill", "--set", "train.distill.weight=0.3"), 2, "no other loss", "train.distill.weight", "cross_entropy")
    check_error(sparsify(*prune, *QUICK, "--set", "schedule={name: imp, rounds: 2, rewind: {to_step: 1000}}"), 2, "to_step 1000, a round has 20 steps", "schedule.rewind", "to_step: 2}")
    check_error(sparsify(*prune, "--train-data", TRAIN, "--epochs", "2", "--set", "schedule={name: imp, rounds: 2, rewind: {to_epoch: 2}}"), 2, "to_epoch 2 is step", "schedule.rewind", "to_step")
    check_error(sparsify("prune", DIGITS, "-o", out, "--pattern", "unstructured", *QUICK, "--set", "schedule=movement"), 2, "this rule gives none")
    cut = ["prune", DIGITS, "-o", out, "--pattern", "channel", "--sparsity", "0.5"]
    check_error(sparsify(*prune, "--train-data", TRAIN, "--set", "repair=least_squares"), 2, "for what a cut leaves", fix="--solver")
    check_error(sparsify(*cut, *QUICK, "--set", "repair=statistics"), 2, "does not repair as well", fix="repair: none")
    check_error(sparsify(*prune, "--train-data", TRAIN + ",limit=256", "--epochs", "1", "--set", "schedule={name: movement}"), 2, "before the movement scores chose")
    check_error(sparsify("finetune", DIGITS, "-o", out, *QUICK, "--set", "prune.0.sparsity=0.5"), 2, "prunes nothing")
    check_error(sparsify(*prune, *QUICK, "--set", "train.optimizer={name: sgd, lr: 1000}", "--set", "train.steps=200"), 3, ("the training diverged", "first bad number"),
                ("step", "learning rate"), "clip_norm")
    check(not os.path.exists(out), "no model was written")


def bfloat16(folder):
    def accuracy(*more):
        out = os.path.join(folder, "out.onnx")
        succeeds("prune", DIGITS, "-o", out, "--overwrite", "--sparsity", "0.8", "--data", EVAL, "--train-data", TRAIN, "--threads", "1", "--set", "train.steps=60", *more)
        left = report(out)
        check(all(one["passed"] for one in left["verification"]), left["verification"])
        return left["metric"]["before"], left["metric"]["after"], onnx.weights_of(out)
    wide, narrow = accuracy(), accuracy("--precision", "bf16")
    check(abs(wide[0] - narrow[0]) <= 1 and abs(wide[1] - narrow[1]) <= 3, f"bf16 {narrow[:2]}, float32 {wide[:2]}")
    check(any(wide[2][name].bytes != narrow[2][name].bytes for name in wide[2]), "bf16 was used")
    short = [abs(v) for w in narrow[2].values() if w.kind == onnx.FLOAT for v in w.values() if v]
    check(any(onnx.unpack(onnx.BFLOAT16, onnx.pack(onnx.BFLOAT16, [v]))[0] != v for v in short), "the weights themselves stay float32")
    model, _ = onnx.chain([((4, 3), [0.5] * 12), ((3, 2), [0.25] * 6)], kind=onnx.DOUBLE)
    path = write(os.path.join(folder, "double.onnx"), model)
    check_error(sparsify("prune", path, "-o", os.path.join(folder, "x.onnx"), "--sparsity", "0.5", "--precision", "bf16"), 2, "no float32 weights", fix="precision")
    check_error(sparsify("prune", DIGITS, "-o", os.path.join(folder, "x.onnx"), "--sparsity", "0.5", "--precision", "bf17"), 2, "bf17", fix="bf16")


def keeps_the_last_good_checkpoint(folder):
    out = os.path.join(folder, "out.onnx")
    prune = ["prune", DIGITS, "-o", out, "--sparsity", "0.8", "--train-data", TRAIN, "--threads", "1", "--set", "train.steps=50", "--set", "train.checkpoint_steps=1"]
    latest = os.path.join(folder, "out.sparsify", "checkpoints", "training", "latest.json")
    # The loss overflows after some steps.
    run = sparsify(*prune, "--set", "train.optimizer={name: sgd, lr: 100, weight_decay: 0.5}")
    check_error(run, 3, ("the training diverged", "first bad number"), ("step", "learning rate"), ("last good checkpoint", os.path.dirname(latest), "--overwrite"))
    good = json.loads(read(latest))
    check(not os.path.exists(os.path.join(folder, "out.sparsify", "training.csv")), "the evidence is of finished runs")
    check(good["step"] >= 1 and os.path.exists(os.path.join(os.path.dirname(latest), good["tensors"])), good["step"])
    # The disk fills up: what was there stays, and the run can go on.
    full = sparsify(*prune, "--overwrite", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    check_error(full, 5)
    check(not os.path.exists(out), "no model was written")
    start = subprocess.Popen([PROGRAM, *prune, "--overwrite"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for _ in range(600):
        if os.path.exists(latest) or start.poll() is not None:
            break
        time.sleep(0.02)
    start.kill()
    start.communicate()
    before = listing(os.path.dirname(latest))
    full = sparsify(*prune, "--resume", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    check_error(full, 5)
    after = listing(os.path.dirname(latest))
    for name, content in before.items():
        if not name.endswith(".tmp"):
            equal(after.get(name), content, f"{name} after the disk was full")
    succeeds(*prune, "--resume")
    check(report(out)["training"]["resumed"] >= 1, "the run went on")


def interrupted(folder):
    out = os.path.join(folder, "out.onnx")
    prune = ["prune", DIGITS, "-o", out, "--sparsity", "0.8", "--train-data", TRAIN, "--threads", "1", "--set", "train.epochs=200"]
    run = subprocess.Popen([PROGRAM, *prune], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    latest = os.path.join(folder, "out.sparsify", "checkpoints", "training", "latest.json")
    for _ in range(600):
        if os.path.exists(latest):
            break
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    equal(run.returncode, 130, said)
    check("--resume" in said, said)
    check_error(sparsify(*prune), 2, "unfinished run", fix=("--resume", "--overwrite"))
    check_error(sparsify(*prune, "--resume", "--seed", "1"), 2, "another recipe")
    raw = read(latest)
    write(latest, raw[: len(raw) // 2])
    check_error(sparsify(*prune, "--resume"), 3, "damaged", fix="--overwrite")
    write(latest, raw)
    check(not os.path.exists(out), "no model was written")
    grow_in_place(os.path.dirname(latest), prune)


def grow_in_place(checkpoints, prune):
    """The curves of an interrupted run are there, and the run that goes on continues them."""
    names = ("training.csv", "events.out.tfevents.sparsify", "log.jsonl")
    before = {name: read(os.path.join(checkpoints, name)) for name in names}
    epochs = [json.loads(line) for line in before["log.jsonl"].splitlines()]
    check(epochs and all(one["event"] == "epoch" for one in epochs), before["log.jsonl"])
    run = subprocess.Popen([PROGRAM, *prune, "--resume"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for _ in range(3000):
        if len(read(os.path.join(checkpoints, "log.jsonl"))) > len(before["log.jsonl"]) or run.poll() is not None:
            break
        time.sleep(0.01)
    run.kill()
    run.communicate()
    after = {name: read(os.path.join(checkpoints, name)) for name in names}
    for name in ("training.csv", "log.jsonl"):
        check(after[name].startswith(before[name]) and after[name].endswith(b"\n"), f"{name} goes on")
    points = [tuple(line.split(",")[:2]) for line in after["training.csv"].decode().splitlines()]
    equal(len(set(points)), len(points), "points of the curves, none of them twice")
    check(len(after["log.jsonl"].splitlines()) > len(epochs), "the log grows while the run goes on")


def counts_all_rounds(folder):
    out = os.path.join(folder, "out.onnx")
    succeeds("prune", DIGITS, "-o", out, "--sparsity", "0.7", "--set", "schedule={name: imp, rounds: 2}", "--train-data", TRAIN, "--threads", "1", "--set", "train.steps=10")
    training = report(out)["training"]
    equal(training["samples"], 2 * 1257, "samples of two rounds of an epoch")
    equal(training["seconds"], training["epochs"][-1]["seconds"], "seconds of all rounds")


def killed_after_a_checkpoint(folder, arguments):
    """Returns the folder of the checkpoint."""
    checkpoints = os.path.join(folder, "out.sparsify", "checkpoints", "training")
    run = subprocess.Popen([PROGRAM, *arguments], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for _ in range(3000):
        if os.path.exists(os.path.join(checkpoints, "latest.json")) or run.poll() is not None:
            break
        time.sleep(0.01)
    run.kill()
    run.communicate()
    check(os.path.exists(os.path.join(checkpoints, "latest.json")), "killed after a checkpoint and before the end")
    return checkpoints


def turn_labels(path):
    """Each sample gets its neighbour's label: an archive of the same shapes."""
    with zipfile.ZipFile(path) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    raw = arrays["y.npy"]
    begin = 10 + int.from_bytes(raw[8:10], "little")
    arrays["y.npy"] = raw[:begin] + raw[begin + 8:] + raw[begin:begin + 8]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)


def changed_data(folder):
    """What is behind a path may change between two runs: the checkpoint knows."""
    train, held, teacher = (os.path.join(folder, name) for name in ("train.npz", "held.npz", "teacher.onnx"))
    for path in (train, held):
        write(path, read(os.path.join(SOURCE, "configs", "quickstart", "digits-train.npz")))
    write(teacher, read(DIGITS))
    prune = ["prune", DIGITS, "-o", os.path.join(folder, "out.onnx"), "--sparsity", "0.8", "--train-data", f"npz:{train},scale=16", "--threads", "1", "--set", "train.steps=100",
             "--set", f"data.validation={{format: npz, path: {held}, scale: 16}}", "--set", f"train.distill={{teacher: {teacher}}}", "--set", "train.checkpoint_steps=1"]
    killed_after_a_checkpoint(folder, prune)
    weight = max((w.bytes for w in onnx.weights_of(DIGITS).values() if w.kind == onnx.FLOAT), key=len)
    changes = ((train, "another data set", lambda: turn_labels(train)), (held, "another validation set", lambda: turn_labels(held)),
               (teacher, "another teacher", lambda: write(teacher, read(DIGITS).replace(weight, weight[4:] + weight[:4]))))
    for path, what, change in changes:
        before = read(path)
        change()
        check(read(path) != before, f"{path} is another file")
        check_error(sparsify(*prune, "--resume"), 2, what, "latest.json", ("the data it was started with", "--overwrite"))
        write(path, before)
    succeeds(*prune, "--resume")
    equal(report(os.path.join(folder, "out.onnx"))["training"]["resumed"], 1, "times resumed")


def refused_before_training(folder):
    """What cannot end well, or what is measured on, is looked at first; nothing is written."""
    out = os.path.join(folder, "x.onnx")
    slim = os.path.join(folder, "slim.onnx")
    succeeds("prune", DIGITS, "-o", slim, "--sparsity", "0.8")
    prune = ["prune", DIGITS, "-o", out, *QUICK]
    block = "{block: [4, 1]}"
    for schedule in ("{name: dynamic, every: 2}", "movement"):
        for pattern in ("per_row", block):
            check_error(sparsify(*prune, "--sparsity", "0.8", "--pattern", pattern, "--set", f"schedule={schedule}"), 2, "chooses single weights", "prune.0.pattern", "unstructured")
    check_error(sparsify(*prune, "--set", "prune.0.sparsity={macs: 0.5}", "--set", "schedule=cubic"), 2, "gives a budget", "prune.0.sparsity", "give the sparsity")
    for schedule in ("cubic", "linear", "movement", "{name: imp, rounds: 2}"):
        check_error(sparsify("finetune", slim, "-o", out, *QUICK, "--set", f"schedule={schedule}"), 2, "finetune holds", "schedule", "sparsify prune")
    wrong = os.path.join(folder, "wrong.npz")
    write(wrong, read(EVAL_FILE))
    change_label(wrong, 70, 77)
    check_error(sparsify(*prune, "--sparsity", "0.8", "--data", f"npz:{wrong},scale=16"), 3, "label 77")
    check_error(sparsify(*prune, "--sparsity", "0.8", "--data", EVAL, "--metric", "mse"), 3)
    check(not os.path.exists(out) and not os.path.exists(os.path.join(folder, "x.sparsify")), "nothing was trained or written")
    warned = succeeds("eval", DIGITS, "--data", EVAL + ",augment=[{cutout: 6}]")
    check("data.eval is augmented" in warned.stderr, warned.stderr)


def change_label(path, record, label):
    with zipfile.ZipFile(path) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    raw = arrays["y.npy"]
    at = 10 + int.from_bytes(raw[8:10], "little") + 8 * record
    arrays["y.npy"] = raw[:at] + label.to_bytes(8, "little") + raw[at + 8:]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)


def other_measurement(folder):
    """What the result is measured on is no part of what was trained: a run goes on with other evaluation data."""
    prune = ["prune", DIGITS, "-o", os.path.join(folder, "out.onnx"), "--sparsity", "0.8", "--train-data", TRAIN, "--threads", "1", "--set", "train.steps=100", "--set", "train.checkpoint_steps=1"]
    killed_after_a_checkpoint(folder, prune)
    succeeds(*prune, "--resume", "--data", EVAL, "--metric", "loss")
    equal(report(os.path.join(folder, "out.onnx"))["training"]["resumed"], 1, "times resumed")


def failed_run_keeps_evidence(folder):
    out = os.path.join(folder, "out.onnx")
    prune = ["prune", DIGITS, "-o", out, "--sparsity", "0.8", "--data", EVAL, *QUICK]
    succeeds(*prune)
    before = {name: read(os.path.join(folder, "out.sparsify", name)) for name in ("training.csv", "events.out.tfevents.sparsify", "report.json")}
    check_error(sparsify(*prune, "--overwrite", "--lr", "0.05", "--set", "gates.min_accuracy=99.99"), 4)
    for name, content in before.items():
        equal(read(os.path.join(folder, "out.sparsify", name)), content, name)
    check("training.csv" in listing(os.path.join(folder, "out.sparsify", "failed")), "its own curves are beside its report")


def targets_of_floats(folder):
    """Float labels are targets: what fits them is the squared error, not an accuracy."""
    data = write(os.path.join(folder, "d.csv"), "a,b,t\n1,2,0.5\n3,4,1.5\n5,6,2.5\n7,8,3.5\n")
    model, _ = onnx.chain([((2, 3), [0.1] * 6), ((3, 1), [0.2] * 3)])
    path = write(os.path.join(folder, "m.onnx"), model)
    run = json.loads(succeeds("eval", path, "--data", f"csv:{data},label=t", "--json").stdout)
    equal(run["metric"]["name"], "mse", "the metric of float targets")


def plan_without_a_solver(folder):
    """A plan's masks on another checkpoint: its weights stay its own where that is asked for."""
    planned, replayed, solved = (os.path.join(folder, name + ".onnx") for name in ("planned", "replayed", "solved"))
    succeeds("prune", DIGITS, "-o", planned, "--sparsity", "0.8")
    replay = ["prune", DIGITS, "--plan", os.path.join(folder, "planned.sparsify"), "--train-data", TRAIN, "--threads", "1"]
    succeeds(*replay, "-o", replayed, "--solver", "none", "--set", "repair=none")
    equal(read(replayed), read(planned), "the same weights under the same masks")
    succeeds(*replay, "-o", solved)
    check(read(solved) != read(planned), "with data and nothing else said they are solved")
    check_error(sparsify(*replay, "-o", os.path.join(folder, "x.onnx"), "--solver", "sparsegpt"), 2, "the plan gives the masks", "--solver", "least_squares")
    check("--plan plan.json" in read(os.path.join(folder, "solved.sparsify", "recipe.yaml")).decode(), "how to do it again")


for name, function in (("refused before training", refused_before_training), ("another measurement", other_measurement), ("a failed run keeps earlier evidence", failed_run_keeps_evidence), ("float targets", targets_of_floats),
                       ("a plan without a solver", plan_without_a_solver), ("prune and train", prune_and_train), ("same recipe, same bytes", same_bytes), ("finetune holds 2:4", finetune), ("finetune trains a cut model", finetune_cut), ("finetune holds zeros of embeddings", finetune_embeddings), ("counts what was written", counts_what_was_written), ("a wrong label", wrong_label), ("nothing to learn from", nothing_to_learn), ("frozen layers are pruned while the rest trains", frozen_layers), ("schedules", schedules), ("movement criteria", movement_criteria),
                       ("bad input", bad_input), ("bf16", bfloat16), ("a reordered model with external data", permuted_beside_its_data), ("the last good checkpoint stays", keeps_the_last_good_checkpoint), ("changed data", changed_data), ("rounds count together", counts_all_rounds), ("interrupted", interrupted)):
    case(name, function)
finish()
