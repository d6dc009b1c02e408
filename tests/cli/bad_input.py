"""bad_input.py PROGRAM [NAME]: what the program says and leaves behind when its input, flags or machine are not fit.

Every case ends in one `error / at / fix` message and its exit code, and leaves the folder of the output as it was.
"""
import io
import json
import os
import resource
import signal
import subprocess
import time
import zipfile

import tiny_onnx as onnx
from harness import DIGITS, EVAL, EVAL_FILE, PROGRAM, case, check, check_error, equal, finish, listing, read, sparsify, succeeds, write

VALUES = [0.5 - i / 37 for i in range(32)]
GOOD, _ = onnx.chain([([4, 8], VALUES), ([8, 4], VALUES)])
ALL = ["--set", "prune.0.select.first_last=true"]
PRUNE = ["--sparsity", "0.5", *ALL]


def refused(name, code, arguments, what=(), where=(), fix=(), files=None, prepare=None, **options):
    """`arguments` run in a folder that holds `files`; m.onnx is a good model unless they say otherwise."""

    def run(folder):
        for path, content in {"m.onnx": GOOD, **(files or {})}.items():
            if content is not None:
                write(os.path.join(folder, path), content)
        if prepare is not None:
            prepare(folder)
        before = listing(folder)
        result = sparsify(*arguments, cwd=folder, **options)
        check_error(result, code, what, where, fix)
        equal(listing(folder), before, "files afterwards")

    case(name, run)


def bad_model(name, content, what, fix=(), where="m.onnx", files=None, prepare=None, code=3):
    refused(name, code, ["prune", "m.onnx", "-o", "out.onnx", *PRUNE], what, where, fix, {"m.onnx": content, **(files or {})}, prepare)


def cut(name, files, sparsity, what, fix, *flags):
    pattern = () if "--pattern" in flags else ("--pattern", "channel")
    refused(name, 2, ["prune", "m.onnx", "-o", "out.onnx", *pattern, "--set", f"prune.0.sparsity={sparsity}", *flags], what, "prune.0", fix,
            files if isinstance(files, dict) else None)


def one_layer(weight, extra=(), op="MatMul"):
    return onnx.model([onnx.node(op, ["x", "w"], ["y"], "fc"), *extra], [weight], [onnx.value("x", ["N", 4])], [onnx.value("y", ["N", 8])])


def zip_file():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    return buffer.getvalue()


def models():
    digits = read(DIGITS)
    bad_model("a truncated model", digits[: len(digits) // 2], (), "again")
    bad_model("a model cut short by one byte", GOOD[:-1], (), ())
    bad_model("an empty file", b"", "empty")
    bad_model("a text file", b"name: resnet\nlayers: 20\n" * 20, "text", ".onnx")
    bad_model("a zip archive", zip_file(), "zip", ".onnx")
    bad_model("a missing model", None, (), ())
    refused("a folder as the model", 3, ["prune", "m.onnx", "-o", "out.onnx", *PRUNE], (), "m.onnx", (), {"m.onnx": None},
            lambda folder: os.mkdir(os.path.join(folder, "m.onnx")))

    outside, content = onnx.chain([([4, 8], VALUES), ([8, 4], VALUES)], storage="external")
    bad_model("missing external data", outside, "w.bin", "beside the model", where="w0")
    bad_model("external data that is too short", outside, (), (), where="w1", files={"w.bin": content[:-4]})

    def at(location):
        return onnx.chain([([4, 8], VALUES), ([8, 4], VALUES)], storage="external", location=location)[0]

    bad_model("external data outside the folder", at("../w.bin"), "../w.bin", (), where="w0")
    bad_model("external data by an absolute path", at("/etc/hostname"), "/etc/hostname", (), where="w0")
    bad_model("external data behind a link that leaves the folder", outside, "link", "--allow-linked-data", where="w0",
              prepare=lambda folder: os.symlink("/etc/hostname", os.path.join(folder, "w.bin")))

    bad_model("a shape that disagrees with its bytes", one_layer(onnx.tensor("w", [4, 9], VALUES)), ("144", "128"), (), where="w")
    bad_model("a negative size", one_layer(onnx.tensor("w", [-4, 8], VALUES)), "-4", (), where="w")
    nan = one_layer(onnx.tensor("w", [4, 8], VALUES[:5] + [float("nan")] + VALUES[6:]))
    bad_model("NaN among the weights", nan, ("element 5", "\"w\"", "nan"), "exclude", where="fc")
    infinite = one_layer(onnx.tensor("w", [4, 8], VALUES[:5] + [float("inf")] + VALUES[6:]))
    bad_model("infinity among the weights", infinite, ("element 5", "\"w\"", "inf"), "exclude", where="fc")
    cycle = onnx.model([onnx.node("Add", ["x", "b"], ["a"], "first"), onnx.node("Relu", ["a"], ["b"], "second")], [],
                       [onnx.value("x", ["N", 4])], [onnx.value("b", ["N", 4])])
    bad_model("a cyclic graph", cycle, ("cycle", "first", "second"), "export", where="graph")
    dangling = onnx.model([onnx.node("Relu", ["nowhere"], ["y"], "relu")], [], [onnx.value("x", ["N", 4])], [onnx.value("y", ["N", 4])])
    bad_model("an input that nothing produces", dangling, ("nowhere", "relu"), "export", where="graph")


def graphs():
    """Graphs that load but cannot run: the message names node, operator, domain, opset and shapes."""

    def unfit(name, content, what, where, fix=(), code=3, data="csv:d.csv,label=label", rows=None, **options):
        refused(name, code, ["eval", "m.onnx", "--threads", "1", "--data", data], what, where, fix, {"m.onnx": content, "d.csv": rows or CSV}, **options)

    def graph(nodes, weights=(), output=("N", 8), inputs=(("x", ("N", 4)),), **options):
        return onnx.model(nodes, list(weights), [onnx.value(name, list(shape)) for name, shape in inputs], [onnx.value("y", list(output))], **options)

    weight = onnx.tensor("w", [4, 8], VALUES)
    unfit("an unknown operator of another domain", graph([onnx.node("Frobnicate", ["x", "w"], ["y"], "odd", domain="com.example")], [weight], domains=["com.example"]),
          ("Frobnicate", "com.example", "opset 1"), "odd", "sparsify ops")
    unfit("an unknown operator of ONNX's domain", graph([onnx.node("Frobnicate", ["x", "w"], ["y"], "odd")], [weight]),
          ("Frobnicate", "ai.onnx", "opset 17"), "odd", "sparsify ops")
    unfit("an opset newer than known", graph([onnx.node("MatMul", ["x", "w"], ["y"], "fc")], [weight], opset=999), ("opset 999", "ai.onnx"), "m.onnx", "opset")
    unfit("an input that a node needs and has not", graph([onnx.node("MatMul", ["x"], ["y"], "fc")]), ("1 input where 2", "MatMul", "opset 17"), "fc")
    unfit("a weight of the wrong rank", graph([onnx.node("Conv", ["x", "w"], ["y"], "conv")], [weight]), "rank 2", ("conv", "Conv", "opset 17"))
    unfit("operands of different types", graph([onnx.node("MatMul", ["x", "w"], ["y"], "fc")], [onnx.tensor("w", [4, 8], range(32), onnx.INT64)]),
          ("float32[2, 4]", "int64[4, 8]"), ("fc", "MatMul", "opset 17"))
    unfit("sizes that do not fit each other", graph([onnx.node("MatMul", ["x", "w"], ["y"], "fc")], [onnx.tensor("w", [5, 8], [0.5] * 40)]),
          ("float32[2, 4]", "float32[5, 8]"), ("fc", "MatMul", "opset 17"))
    endless = onnx.graph([onnx.node("Identity", ["c"], ["c2"], "same"), onnx.node("Identity", ["v"], ["v2"], "kept")], [],
                         [onnx.value("i", [], onnx.INT64), onnx.value("c", [], onnx.BOOL), onnx.value("v", ["N", 4])],
                         [onnx.value("c2", [], onnx.BOOL), onnx.value("v2", ["N", 4])], "body")
    unfit("a loop that does not end", graph([onnx.node("Cast", ["one"], ["go"], "truth", to=onnx.BOOL),
                                             onnx.node("Loop", ["", "go", "x"], ["y"], "forever", body=endless)],
                                            [onnx.tensor("one", [], [1.0])], output=("N", 4)), "1000000 turns", ("forever", "Loop", "opset 17"), "condition")
    for name, shape in (("a tensor too large for memory", [10 ** 10, 1, 1]), ("a tensor whose size overflows", [2 ** 62, 1, 1])):
        unfit(name, graph([onnx.node("Expand", ["x", "shape"], ["wide"], "widen"), onnx.node("Relu", ["wide"], ["y"], "huge")],
                          [onnx.tensor("shape", [3], shape, onnx.INT64)], output=("A", "N", 4)), "memory ran out", ("opset 17",), "smaller", code=5)
    unfit("an output too large for memory", graph([onnx.node("Expand", ["x", "shape"], ["y"], "widen")], [onnx.tensor("shape", [3], [10 ** 11, 1, 1], onnx.INT64)],
                                                  output=("A", "N", 4)), ("memory ran out", '"y"', "float32[100000000000, 2, 4]"), "outputs", "smaller", code=5)
    unfit("an attribute that the operator does not have", graph([onnx.node("Softmax", ["x"], ["y"], "soft", axes=1)]), ('"axes"', "Softmax", "opset 17"), "soft", "checker")
    unfit("a symbol with two sizes", graph([onnx.node("MatMul", ["x", "w"], ["y"], "fc")], [weight], inputs=(("x", ("N", "N")),)),
          ("float32[2, 4]", "[N, N]", '"N" = 2'), ("m.onnx",), ())
    refused("a GPU where there is none", 3, ["eval", "m.onnx", "--device", "cuda", "--data", "csv:d.csv,label=label"], "cuda", "device", "cpu", {"d.csv": CSV})


CSV = "a,b,c,d,label\n1,2,3,4,0\n4,3,2,1,1\n"


def data_sets():
    def eval_on(data, *more):
        return ["eval", DIGITS, "--data", data, *more]

    refused("samples of another shape", 3, ["eval", "m.onnx", "--data", EVAL], (), (), ())
    refused("a label out of range", 3, ["eval", "m.onnx", "--data", "csv:d.csv,label=label"], "7", (), (),
            {"d.csv": CSV.replace("1,1\n", "1,7\n")})
    refused("a missing data file", 3, eval_on("npz:nothing.npz"), (), "nothing.npz", ())
    archive = read(EVAL_FILE)
    refused("a truncated npz", 3, eval_on("npz:cut.npz"), (), "cut.npz", (), {"cut.npz": archive[: len(archive) // 2]})
    refused("an npz that is none", 3, eval_on("npz:text.npz"), (), "text.npz", (), {"text.npz": "no archive\n" * 100})
    refused("an unknown data format", 2, eval_on("npzz:a.npz"), "npzz", (), "npz")
    refused("an unknown data option", 2, eval_on(EVAL + ",scael=1"), "scael", "--data", "scale")
    refused("a key in the place of the path", 2, eval_on("random:limit=4"), ("random has no path", "limit=4"), "--data", "random,limit=4")
    refused("a path for drawn data", 2, eval_on("random:a.npz"), ("random has no path", "a.npz"), "--data", "remove the path")
    refused("an unknown metric", 2, eval_on(EVAL, "--metric", "top2"), "top2", (), "top")
    refused("a metric that needs labels, without labels", 2, eval_on("random:,limit=4", "--metric", "top1"), ("top1", "labels"), (), "mse")
    refused("a metric without data", 2, ["eval", DIGITS], "data", (), "--data")


def recipes():
    def with_recipe(text, *more):
        return {"arguments": ["prune", "--config", "r.yaml", *more], "files": {"r.yaml": text}}

    base = "model: m.onnx\noutput: out.onnx\nprune:\n  - sparsity: 0.5\n    select: {first_last: true}\n"
    refused("an unknown recipe key", 2, what="criterium", where="r.yaml:6", fix="criterion", **with_recipe(base + "    criterium: magnitude\n"))
    refused("an unknown key at the top", 2, what="gatez", where="r.yaml:6", fix="gates", **with_recipe(base + "gatez: {}\n"))
    refused("a recipe that is no YAML", 2, where="r.yaml:3", **with_recipe("model: m.onnx\noutput: out.onnx\nprune: [\n"))
    refused("a missing recipe", 2, ["prune", "--config", "none.yaml"], "read", "none.yaml", "YAML")
    refused("a gate of NaN", 2, what="nan", where="r.yaml:6", **with_recipe(base + "gates: {min_sparsity: .nan}\n"))
    refused("a gate that needs data, without data", 2, what="max_accuracy_drop", where="r.yaml:6", fix="data",
            **with_recipe(base + "gates: {max_accuracy_drop: 1}\n"))
    refused("an unknown gate", 2, what="max_acuracy_drop", where="r.yaml:6", fix="max_accuracy_drop",
            **with_recipe(base + "gates: {max_acuracy_drop: 1}\n"))
    refused("a recipe without a model", 2, what="model", **with_recipe("prune: [{sparsity: 0.5}]\noutput: out.onnx\n"))

    def flags(*more):
        return ["prune", "m.onnx", "-o", "out.onnx", *more]

    refused("an unknown criterion", 2, flags("--criterion", "magnitud", "--sparsity", "0.5"), "magnitud", "--criterion", "magnitude")
    refused("an unknown pattern", 2, flags("--pattern", "blok", "--sparsity", "0.5"), "blok", "--pattern", "block")
    refused("an unknown allocation", 2, flags("--allocation", "unifrom", "--sparsity", "0.5"), "unifrom", "--allocation", "uniform")
    refused("an unknown verb", 2, ["prun", "m.onnx"], "prun", "command line", "prune")
    refused("no verb", 2, [], (), "command line", "--help")
    refused("an unknown flag", 2, flags("--sparsty", "0.5"), "--sparsty", "command line", "prune --help")
    refused("a flag without its value", 2, ["prune", "m.onnx", "-o"], (), "command line", ())
    for text in ("1.4", "-0.1", "1", "half", "nan"):
        refused(f"sparsity {text}", 2, flags(f"--sparsity={text}"), ("sparsity is", text), "--sparsity", "[0, 1)")
    refused("sparsity in percent", 2, flags("--sparsity", "1.4"), "1.4", "--sparsity", "for 1.4 percent write 0.014")
    for text in ("4:2", "4:4", "0:4", "2:0"):
        refused(f"the pattern {text}", 2, flags("--pattern", text), (), "--pattern", ())
    refused("a block of zero", 2, flags("--pattern", "{block: [0, 1]}", "--sparsity", "0.5"), "0", "--pattern", ())
    refused("why of a layer that matches nothing", 2, ["why", "m.onnx", "no_such_layer"], ("no layer", "no_such_layer"), "LAYER", "all:")
    refused("include that matches nothing", 2, flags("--include", "fcx*", *PRUNE), ("no tensor", "fcx*"), (), "inspect")
    for flag in ("--include", "--exclude"):
        refused(f"{flag} with a name that is not there", 2, flags(flag, "fc00", *PRUNE), ("no node, weight or layer", "fc00"), (flag, "prune.0.select"), '"fc0"')
    refused("a default selection that is empty", 2, flags("--sparsity", "0.5"), "no tensor", (), ())
    refused("2:4 together with a sparsity", 2, flags("--pattern", "2:4", *PRUNE), "2:4", "--sparsity", "remove sparsity")
    refused("nothing to prune", 2, flags(), "nothing to prune", (), "--sparsity")
    refused("a sparsity that is missing", 2, flags("--criterion", "random"), "sparsity", (), "--sparsity")
    refused("--set on a key that is not there", 2, flags(*PRUNE, "--set", "prune.0.sparsety=0.1"), "sparsety", "--set", "sparsity")
    refused("--set without a value", 2, flags(*PRUNE, "--set", "seed"), "seed", "--set", ())
    refused("a seed that is no number", 2, flags(*PRUNE, "--seed", "abc"), "abc", "--seed", ())
    refused("a negative seed", 2, flags(*PRUNE, "--seed=-1"), "-1", "--seed", ())
    refused("a plugin that is no library", 2, flags(*PRUNE, "--plugin", "./m.onnx"), "plugin", "m.onnx", ())
    refused("the shape of an input that is not there", 2, flags(*PRUNE, "--input", "xx:1,4"), "xx", "--input", "x")
    refused("the shape of an input with another rank", 2, flags(*PRUNE, "--input", "x:1,4,1"), "[1, 4, 1]", "--input", "fits")
    refused("the shape of an input with another fixed size", 2, flags(*PRUNE, "--input", "x:1,5"), "[1, 5]", "--input", "fits")
    refused("an unknown family", 2, ["list", "frob"], "frob", (), "pattern")
    refused("an unknown device", 2, flags(*PRUNE, "--device", "gpu9"), "gpu9", "--device", ())


def flags_over_sets():
    """A flag that names a plugin does not hide what --set gives to the same key."""
    base = ["prune", DIGITS, "-o", "out.onnx", "--sparsity", "0.5"]
    train = [*base, "--train-data", EVAL, "--set", "train.steps=1"]
    refused("an option of --set beside --criterion is read", 2, [*base, "--criterion", "magnitude", "--set", "prune.0.criterion.norm=l3"],
            "l3", "--set (prune.0.criterion.norm)", "l1")
    refused("an option that the plugin of the flag lacks", 2, [*base, "--criterion", "magnitude", "--set", "prune.0.criterion.order=2"],
            "order", "--set (prune.0.criterion.order)")
    refused("an option of --set beside --loss is read", 2, [*train, "--loss", "cross_entropy", "--set", "train.loss={label_smoothing: 2}"],
            "label_smoothing is 2", "--set (train.loss.label_smoothing)")
    refused("an output of --set beside --loss is read", 2, [*train, "--loss", "cross_entropy", "--set", "train.loss.output=nope"], "nope", "train.loss")

    refused("two lengths of a training on one command line", 2, [*train, "--epochs", "3"], "epochs and steps both", "--set (train.steps)", "one of the two")

    def length(folder):
        write(os.path.join(folder, "r.yaml"), "prune: {sparsity: 0.5}\ntrain: {steps: 2}\n")
        run = succeeds("prune", DIGITS, "-o", "o.onnx", "--config", "r.yaml", "--epochs", "3", "--print-config", "--json", cwd=folder)
        equal(json.loads(run.stdout)["train"], {"epochs": 3}, "the flag decides")
        check("train.steps of r.yaml:2 is left out" in run.stderr, run.stderr)
        write(os.path.join(folder, "r.yaml"), "prune: {sparsity: 0.5}\ntrain: {epochs: 1, steps: 2}\n")
        check_error(sparsify("prune", DIGITS, "-o", "o.onnx", "--config", "r.yaml", "--train-data", EVAL, cwd=folder), 2, "epochs and steps both", "r.yaml:2 (train.steps)")

    case("a flag's length of a training stands over the recipe's", length)

    def kept(folder):
        write(os.path.join(folder, "r.yaml"), "prune: {criterion: {name: taylor, order: 2}, sparsity: 0.5}\n")
        same = succeeds("prune", DIGITS, "-o", "o.onnx", "--config", "r.yaml", "--criterion", "taylor", "--print-config", cwd=folder)
        check("order: 2" in same.stdout, f"the recipe's option went:\n{same.stdout}")
        other = succeeds("prune", DIGITS, "-o", "o.onnx", "--config", "r.yaml", "--criterion", "magnitude", "--print-config", cwd=folder)
        check("order" not in other.stdout and "magnitude" in other.stdout, f"an option of another plugin:\n{other.stdout}")
        check("the options of taylor" in other.stderr and "(order)" in other.stderr, f"not a word of it:\n{other.stderr}")

    case("a recipe's options stay with the plugin that the flag names too", kept)


def one_value():
    """The model may stand behind flags that may be repeated."""
    def behind(folder):
        write(os.path.join(folder, "m.onnx"), onnx.chain([([4, 8], VALUES), ([8, 8], VALUES * 2), ([8, 4], VALUES)])[0])
        left = json.loads(succeeds("prune", "--sparsity", "0.5", "--set", "prune.0.select.first_last=true", "--exclude", "fc0", "--exclude", "fc2", "m.onnx", "--print-config", "--json", cwd=folder).stdout)
        equal((left["model"], left["prune"][0]["select"]["exclude"]), ("m.onnx", ["fc0", "fc2"]), "what the flags took")
        equal(json.loads(succeeds("prune", "--include", "fc1", "m.onnx", "--print-config", "--json", cwd=folder).stdout)["prune"][0]["select"]["include"], ["fc1"], "include")
        succeeds("verify", "--exclude", "fc0", "--pattern", "unstructured", "m.onnx", cwd=folder)
        succeeds("inspect", "--input", "x:1,4", "m.onnx", cwd=folder)

    case("one value for each flag, and the model behind it", behind)
    refused("a verb names itself where no model is", 2, ["finetune", "-o", "o.onnx", "--train-data", "csv:d.csv,label=label", "--epochs", "1"], "no model", "finetune", "sparsify finetune MODEL")
    refused("a verb names itself where no output is", 2, ["finetune", "m.onnx", "--train-data", "csv:d.csv,label=label", "--epochs", "1"], "no output", "finetune", "-o")
    refused("a layer that is not there has the flag's name", 2, ["sensitivity", "m.onnx", "--layers", "nope"], "nope", "--layers")
    refused("a plugin in front of the model", 2, ["prune", "--plugin", "none.so", "m.onnx", "-o", "o.onnx", *PRUNE], "none.so")
    refused("a second glob without its flag", 2, ["prune", "m.onnx", "-o", "out.onnx", *PRUNE, "--exclude", "fc0", "fc1"], "fc1", "command line", "--help")


def misspelt():
    def key(name, setting, what, where, fix, code=2):
        refused(name, code, ["prune", "m.onnx", "-o", "out.onnx", *PRUNE, "--set", setting], what, where, fix)

    key("a misspelt schedule", "shedule=cubic", "shedule", "--set", ('did you mean "schedule"', "initialise, schedule, train"))
    key("a misspelt data set", "data={evl: {format: random}}", 'nothing reads the data set "evl"', "data.evl", 'did you mean "eval"')
    key("a misspelt metric without data", "metric=acc", 'no metric is named "acc"', "metric", 'did you mean "auc"')
    key("no threads", "threads=0", "threads is 0", "threads", "use auto")

    def read_by_another(folder):
        write(os.path.join(folder, "m.onnx"), GOOD)
        for sets in ("{all: {format: random, limit: 8}, calibration: {from: all, samples: 4}}", "{validation: {format: random}}"):
            succeeds("prune", "m.onnx", "--dry-run", *PRUNE, "--set", f"data={sets}", cwd=folder)

    case("a data set that another one draws from is read", read_by_another)


def outputs():
    def flags(output, *more):
        return ["prune", "m.onnx", "-o", output, *PRUNE, *more]

    refused("no output", 2, ["prune", "m.onnx", *PRUNE], "output", (), "-o")
    refused("an output folder that is not there", 3, flags("none/out.onnx"), (), "none", ())
    refused("an output below a file", 3, flags("file/out.onnx"), (), "file", (), {"file": "a file"})
    refused("an output where nothing can be written", 3, flags("/proc/out.onnx"), (), "/proc", ())
    refused("an output that is a folder", 2, flags("dir"), "folder", "dir", (), None, lambda folder: os.mkdir(os.path.join(folder, "dir")))
    refused("an output that exists", 2, flags("out.onnx"), "exists", "out.onnx", "--overwrite", {"out.onnx": b"precious"})
    refused("the output is the input", 2, flags("m.onnx", "--overwrite"), "input", "m.onnx", ())
    refused("the output is the input by another name", 2, flags("link.onnx", "--overwrite"), "input", (), (), None,
            lambda folder: os.symlink("m.onnx", os.path.join(folder, "link.onnx")))

    recipe = {"r.yaml": "prune: {sparsity: 0.5, select: {first_last: true}}\n"}
    refused("the output is the recipe", 2, ["prune", "m.onnx", "-o", "r.yaml", "--config", "r.yaml", "--overwrite"], "recipe", "r.yaml", "another name", recipe)
    rows = {"d.csv": "x0,x1,x2,x3,label\n1,2,3,4,0\n"}
    refused("the output is the data set", 2, flags("d.csv", "--data", "csv:d.csv,label=label", "--overwrite"), 'data set "eval"', "d.csv", "another name", rows)
    refused("the output is the teacher", 2, ["finetune", "m.onnx", "-o", "dense.onnx", "--teacher", "dense.onnx", "--train-data", "csv:d.csv,label=label", "--overwrite"],
            "teacher", "dense.onnx", "another name", {**rows, "dense.onnx": GOOD})
    refused("the output is a plan", 2, ["prune", "m.onnx", "-o", "p.json", "--plan", "p.json", "--overwrite"], "plan", "p.json", "another name", {"p.json": "{}"})
    refused("a starter recipe in the model's place", 2, ["init", "m.onnx", "-o", "m.onnx", "--overwrite"], "replace the model", "m.onnx", "recipe.yaml")

    def other_evidence(folder):
        os.mkdir(os.path.join(folder, "out.sparsify"))
        write(os.path.join(folder, "out.sparsify", "recipe.yaml"), b"output: ../out.bin\n")

    refused("the evidence of another output", 2, flags("out.onnx"), ("evidence", "out.bin"), "out.sparsify", "--overwrite", None, other_evidence)
    refused("density limits on a cut", 2, ["prune", "m.onnx", "-o", "out.onnx", "--pattern", "channel", "--sparsity", "0.5", "--set", "prune.0.max_density=0.3"],
            "no density limits", "max_density", "min_width")
    refused("a solver of single weights on a cut", 2, ["prune", "m.onnx", "-o", "out.onnx", "--pattern", "channel", "--sparsity", "0.5", "--solver", "gradual"],
            "chooses single weights", "prune.0.solver", "least_squares")
    refused("the repair of a cut for zeros", 2, [*flags("out.onnx"), "--set", "repair=least_squares"], "what a cut leaves", "repair", "--solver")
    refused("a repair without data", 2, ["prune", "m.onnx", "-o", "out.onnx", "--pattern", "channel", "--sparsity", "0.5", "--set", "repair=least_squares"],
            "needs calibration data", "data.calibration", "--train-data")
    cut("a budget below what a cut can reach", "m.onnx", "{params: 0.01}", "the least possible is", "output of the model")
    cut("a layer to cut that no layer is called", "m.onnx", "0.5", "fcc0", '"fc0"', "--set", "prune.0.select.include=[fcc0]")
    cut("layers to cut that no glob matches", "m.onnx", "0.5", "selects no group", "widen", "--set", "prune.0.select.include=['fcc*']")
    single, _ = onnx.chain([([4, 1], VALUES[:4]), ([1, 4], VALUES[:4])])  # its one hidden unit is no group
    cut("a hidden layer of one unit", {"m.onnx": single}, "0.5", ("none of the", "groups can be cut"), "why")
    nodes = [onnx.node("MatMul", ["x", "w0"], ["m"], "fc0"), onnx.node("Reshape", ["m", "s"], ["r"], "turn"), onnx.node("MatMul", ["r", "w1"], ["y"], "fc1")]
    dynamic = onnx.model(nodes, [onnx.tensor("w0", [4, 8], VALUES), onnx.tensor("w1", [8, 4], VALUES)],
                         [onnx.value("x", ["N", 4]), onnx.value("s", [2], onnx.INT64)], [onnx.value("y", ["M", 4])])
    cut("a width that only the run decides", {"m.onnx": dynamic}, "0.5", "run time", "why")
    cut("heads of a model without attention", "m.onnx", "0.5", "no head", "pattern", "--pattern", "head")
    cut("blocks of a model without shortcuts", "m.onnx", "0.5", "no residual block", "channel", "--pattern", "layer")
    refused("a file where the evidence goes", 3, flags("out.onnx"), (), "out.sparsify", (), {"out.sparsify": "a file"})

    def too_large(folder):
        big, _ = onnx.chain([([256, 256], [(i % 251 + 1) / 97 for i in range(65536)])] * 2)
        write(os.path.join(folder, "m.onnx"), big)
        write(os.path.join(folder, "out.onnx"), b"precious")
        before = listing(folder)
        run = sparsify(*flags("out.onnx", "--overwrite"), cwd=folder,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)))
        check_error(run, 5, (), "out.onnx", ())
        equal(listing(folder), before, "files afterwards")

    case("an output larger than the limit on files keeps the old one", too_large)

    def no_space(name, size, model, old):
        """On a disk of `size`: too small for the model, or for the evidence beside it."""
        def run(folder):
            small = os.path.join(folder, "small")
            os.mkdir(small)
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", small], capture_output=True)
            if mounted.returncode != 0:
                print(f"SKIPPED: cli_bad_input: {name}: no permission to mount a small file system")
                return
            try:
                write(os.path.join(folder, "m.onnx"), model)
                if old is not None:
                    write(os.path.join(small, "out.onnx"), old)
                before = listing(small)
                run = sparsify("prune", "m.onnx", "-o", "small/out.onnx", "--sparsity", "0.5", *ALL, "--overwrite", cwd=folder)
                check_error(run, 5, "space", "out.", "space")
                equal(listing(small), before, "files afterwards")
            finally:
                subprocess.run(["umount", small], check=True)

        case(name, run)

    big, _ = onnx.chain([([256, 256], [(i % 251 + 1) / 97 for i in range(65536)])] * 2)
    no_space("a full disk keeps the old output", "128k", big, b"precious")
    no_space("a disk too full for the evidence gets no model either", "240k", read(DIGITS), None)

    def on_disk(name, options, place, code, what, where, trained=False):
        """A run that trains, with a file system of these options at `place`."""
        def run(folder):
            point = os.path.join(folder, place)
            os.mkdir(point)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", point], capture_output=True).returncode != 0:
                print(f"SKIPPED: cli_bad_input: {name}: no permission to mount a small file system")
                return
            try:
                before = listing(folder)
                run = sparsify("prune", DIGITS, "-o", "small/out.onnx" if place == "small" else "out.onnx", "--sparsity", "0.5", "--threads", "1",
                               "--train-data", f"npz:{EVAL_FILE},scale=16", "--set", "train.steps=3", cwd=folder)
                check_error(run, code, what, where, "write to")
                check(trained or "epoch" not in run.stderr, f"noticed only after training:\n{run.stderr}")
                equal(listing(folder), before, "files afterwards")
            finally:
                subprocess.run(["umount", point], check=True)

        case(name, run)

    on_disk("an evidence folder that is read-only is noticed before training", "ro", "out.sparsify", 3, "ead-only", "out.sparsify")
    on_disk("a disk without room for the folders of checkpoints", "nr_inodes=3", "small", 5, "disk is full", "checkpoints", trained=True)


def gates():
    def missed(folder):
        write(os.path.join(folder, "m.onnx"), GOOD)
        write(os.path.join(folder, "out.onnx"), b"precious")
        write(os.path.join(folder, "r.yaml"), "model: m.onnx\noutput: out.onnx\nprune: [{sparsity: 0.5, select: {first_last: true}}]\n"
              "gates: {min_sparsity: 0.9, max_size_bytes: 1000000}\n")
        run = sparsify("prune", "--config", "r.yaml", "--overwrite", cwd=folder)
        check_error(run, 4, ("no model was written", "min_sparsity"), "out.sparsify", "gate")
        equal(read(os.path.join(folder, "out.onnx")), b"precious", "the old output")
        report = json.loads(read(os.path.join(folder, "out.sparsify", "report.json")))
        gates = {gate["name"]: gate for gate in report["gates"]}
        equal((gates["min_sparsity"]["passed"], gates["max_size_bytes"]["passed"]), (False, True), "verdicts")
        equal((gates["min_sparsity"]["limit"], gates["min_sparsity"]["actual"]), (0.9, 0.5), "figures of the missed gate")
        left = listing(folder)
        check(not any(name.endswith(".onnx") for name in left if name.startswith("out.sparsify")), "a model in the evidence")
        check(not any(".part" in name or ".tmp" in name for name in left), f"temporary files: {sorted(left)}")
        check("out.sparsify/plan.json" not in left, "a plan without a model")

    case("a missed gate writes no model and says which", missed)

    def accuracy(folder):
        run = sparsify("prune", DIGITS, "-o", "out.onnx", "--sparsity", "0.97", "--data", EVAL, "--set", "gates.max_accuracy_drop=1", cwd=folder)
        check_error(run, 4, "max_accuracy_drop", "out.sparsify", "gate")
        check(not os.path.exists(os.path.join(folder, "out.onnx")), "a model was written")
        report = json.loads(read(os.path.join(folder, "out.sparsify", "report.json")))
        drop = report["metric"]["before"] - report["metric"]["after"]
        check(abs(report["gates"][0]["actual"] - drop) < 1e-9 and drop > 1, f"drop {drop}: {report['gates']}")

    case("an accuracy gate is judged on both models", accuracy)
    refused("a pattern that the weights break", 4, ["verify", "m.onnx", "--pattern", "2:4"], "2:4", "m.onnx", ("--pattern", "--exclude"))
    refused("globs without a pattern to check", 2, ["verify", "m.onnx", "m.onnx", "--exclude", "fc0"], "no pattern", "--exclude", "--pattern")
    refused("a name to leave out that is not there", 2, ["verify", "m.onnx", "--pattern", "2:4", "--exclude", "fc00"], "fc00", "--exclude", '"fc0"')

    def sparse_but_for(folder):
        succeeds("prune", DIGITS, "-o", "out.onnx", "--pattern", "2:4", cwd=folder)
        check_error(sparsify("verify", "out.onnx", "--pattern", "2:4", cwd=folder), 4, "1 tensors break", "out.onnx", "--exclude")
        obeyed = json.loads(succeeds("verify", "out.onnx", "--pattern", "2:4", "--exclude", "classifier", "--json", cwd=folder).stdout)
        equal((obeyed["obeying"], obeyed["violations"], obeyed["left_out"]), (7, [], 1), "what obeys")

    case("a file that prune made obeys its pattern but for what stays dense", sparse_but_for)


def plans():
    def with_plan(name, code, change, what, where=(), fix=()):
        def run(folder):
            write(os.path.join(folder, "m.onnx"), GOOD)
            first = sparsify("prune", "m.onnx", "-o", "a.onnx", *PRUNE, cwd=folder)
            check(first.returncode == 0, first.stderr)
            change(folder)
            before = listing(folder)
            run = sparsify("prune", "m.onnx", "-o", "b.onnx", "--plan", "a.sparsify/plan.json", cwd=folder)
            check_error(run, code, what, where, fix)
            equal(listing(folder), before, "files afterwards")

        case(name, run)

    def other_graph(folder):
        write(os.path.join(folder, "m.onnx"), GOOD.replace(b"Relu", b"Tanh"))

    def other_shape(folder):
        write(os.path.join(folder, "m.onnx"), onnx.chain([([4, 6], VALUES[:24]), ([6, 4], VALUES[:24])])[0])

    def flipped(folder):
        path = os.path.join(folder, "a.sparsify", "masks.safetensors")
        raw = bytearray(read(path))
        raw[-1] ^= 1
        write(path, bytes(raw))

    def edited(text, other):
        def change(folder):
            path = os.path.join(folder, "a.sparsify", "plan.json")
            raw = read(path)
            check(text in raw, f"the plan lacks {text}")
            write(path, raw.replace(text, other))
        return change

    with_plan("a plan of another graph", 3, other_graph, ("Relu", "Tanh"), "m.onnx", "graph")
    with_plan("a plan of other shapes", 3, other_shape, ("w0", "[4, 8]", "[4, 6]"), "m.onnx")
    with_plan("masks that are not the plan's", 3, flipped, "masks", "masks.safetensors", "plan.json")
    with_plan("masks that are gone", 3, lambda folder: os.remove(os.path.join(folder, "a.sparsify", "masks.safetensors")), (),
              "masks.safetensors")
    with_plan("a plan cut short", 3, lambda folder: write(os.path.join(folder, "a.sparsify", "plan.json"), b'{"schema_version": 1, '), "plan",
              "plan.json")
    with_plan("a plan of another version", 3, edited(b'"schema_version": 1', b'"schema_version": "1"'), "plan", "plan.json")
    with_plan("a plan whose tensors are damaged", 3, edited(b'"initializer": "w0"', b'"initializer": 7'), (), "plan.json")
    with_plan("a plan without patterns", 3, edited(b'"pattern"', b'"patern"'), (), "plan.json")
    refused("a folder without a plan", 3, ["prune", "m.onnx", "-o", "b.onnx", "--plan", "dir"], "plan", "dir/plan.json", (), None,
            lambda folder: os.mkdir(os.path.join(folder, "dir")))

    def folder_of_run(folder):
        write(os.path.join(folder, "m.onnx"), GOOD)
        succeeds("prune", "m.onnx", "-o", "a.onnx", *PRUNE, cwd=folder)
        succeeds("prune", "m.onnx", "-o", "b.onnx", "--plan", "a.sparsify", cwd=folder)
        equal(read(os.path.join(folder, "b.onnx")), read(os.path.join(folder, "a.onnx")), "the model of the replayed plan")

    case("the folder that a run left stands for its plan", folder_of_run)
    refused("a missing plan", 3, ["prune", "m.onnx", "-o", "b.onnx", "--plan", "none.json"], (), "none.json", ())


def interrupts():
    def run(folder):
        process = subprocess.Popen([PROGRAM, "verify", DIGITS, DIGITS, "--data", "random:,limit=2000000,batch_size=16"], cwd=folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            time.sleep(2)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        equal(process.returncode, 130, f"exit code, with this on stderr:\n{errors}\n")
        equal(listing(folder), {}, "files afterwards")

    case("an interrupted run ends with 130", run)


def full_devices():
    if not os.path.exists("/dev/full"):
        return
    refused("a log on a full disk", 5, ["inspect", "m.onnx", "--log-file", "/dev/full"], ("log file", "space"), "/dev/full", "another disk")

    def result(folder):
        write(os.path.join(folder, "m.onnx"), GOOD)
        with open("/dev/full", "w") as full:
            run = subprocess.run([PROGRAM, "inspect", "m.onnx"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=folder, timeout=60)
        check_error(run, 5, ("result", "space"), "stdout", "free some space")

    case("a result that a full disk does not take", result)


def logs():
    refused("a model as the log", 2, ["inspect", "m.onnx", "--log-file", "m.onnx"], "log", "m.onnx", "--log-file")
    refused("a flag that took the model for its log", 2, ["prune", "--log-file", "m.onnx", "-o", "out.onnx", "--sparsity", "0.5"], "log", "m.onnx", ())
    refused("a log that is some other file", 2, ["inspect", "m.onnx", "--log-file", "notes.txt"], "no log", "notes.txt", (), {"notes.txt": "to do\n"})
    refused("a log in a folder that is not there", 3, ["inspect", "m.onnx", "--log-file", "none/run.log"], "none", "none/run.log", "folder")

    def continued(folder):
        write(os.path.join(folder, "m.onnx"), GOOD)
        log = ["--log-file", "run.log"]
        check_error(sparsify("prune", "m.onnx", "-o", "out.onnx", *PRUNE, "--set", "gates.min_sparsity=0.9", *log, cwd=folder), 4, "min_sparsity")
        check_error(sparsify("inspect", "gone.onnx", *log, cwd=folder), 3, ())
        succeeds("inspect", "m.onnx", *log, cwd=folder)
        text = read(os.path.join(folder, "run.log")).decode()
        for words in (" error no model was written: gate min_sparsity failed\n   at: out.sparsify\n", "   at: gone.onnx\n", " info sparsify inspect m.onnx --log-file run.log\n"):
            check(words in text, f"the log lacks {words!r}:\n{text}")

    case("a log is continued and says how runs ended", continued)


models()
graphs()
data_sets()
recipes()
flags_over_sets()
one_value()
misspelt()
outputs()
gates()
logs()
full_devices()
plans()
interrupts()
finish()
