"""verify.py PROGRAM [NAME]: what counts as equal, what is said of structure, and that tables hide no name from who reads them in a pipe."""
import json
import os

import tiny_onnx as onnx
from harness import DIGITS, case, check, check_error, equal, finish, on_terminal, sparsify, succeeds, write

VALUES = [0.5 - i / 37 for i in range(32)]


def linear(x="x", y="y", axis=1, extra=(), opset=17, size=4, metadata=b""):
    nodes = [onnx.node("MatMul", [x, "w"], ["m"], "fc"), onnx.node("Softmax", ["m"], [y], "soft", axis=axis)]
    return onnx.model(nodes, [onnx.tensor("w", [4, 8], VALUES), *extra], [onnx.value(x, ["N", size])], [onnx.value(y, ["N", 8])], opset=opset) + metadata


def adds(kind, constant):
    """x + constant, in the element type `kind`."""
    return onnx.model([onnx.node("Add", ["x", "c"], ["y"], "add")], [onnx.tensor("c", [1], [constant], kind)], [onnx.value("x", ["N", 4], kind)],
                      [onnx.value("y", ["N", 4], kind)])


def compared(folder, a, b, *flags):
    for name, content in (("a.onnx", a), ("b.onnx", b)):
        write(os.path.join(folder, name), content)
    run = sparsify("verify", "a.onnx", "b.onnx", "--json", *flags, cwd=folder)
    return run, json.loads(run.stdout)


def integers(folder):
    run, said = compared(folder, adds(onnx.INT64, 30000), adds(onnx.INT64, 30002))
    check_error(run, 4, "outputs differ", "b.onnx", "whatever the --tolerance")
    equal((said["passed"], said["outputs"][0]["equal"], said["outputs"][0]["max_difference"]), (False, False, 2), "class ids that differ by 2")
    _, said = compared(folder, adds(onnx.INT64, 1 << 53), adds(onnx.INT64, (1 << 53) + 1), "--tolerance", "0")
    equal((said["passed"], said["outputs"][0]["max_difference"]), (False, 1), "integers that float64 cannot tell apart")
    _, said = compared(folder, adds(onnx.DOUBLE, 1.0), adds(onnx.DOUBLE, 1.0 + 1e-12), "--tolerance", "0")
    equal(said["passed"], False, "float64 that float32 cannot tell apart")
    _, said = compared(folder, adds(onnx.DOUBLE, 1.0), adds(onnx.DOUBLE, 1.0 + 1e-12))
    equal(said["passed"], True, "float64 within the tolerance")


def floor(folder):
    def scaled(constant):
        return onnx.model([onnx.node("Mul", ["x", "c"], ["y"], "mul")], [onnx.tensor("c", [1], [constant])], [onnx.value("x", ["N", 4])], [onnx.value("y", ["N", 4])])

    equal(compared(folder, scaled(5e-6), scaled(0.0))[1]["passed"], False, "zeros for values above 1e-6")
    equal(compared(folder, scaled(1e-8), scaled(0.0))[1]["passed"], True, "zeros for what rounding leaves")
    equal(compared(folder, scaled(1e-8), scaled(0.0), "--tolerance", "0")[1]["passed"], False, "tolerance 0")
    equal(compared(folder, scaled(0.0), scaled(-0.0), "--tolerance", "0")[1]["passed"], True, "-0 is 0")
    for tolerance in ("nan", "-1", "inf"):
        check_error(sparsify("verify", "a.onnx", "b.onnx", "--tolerance", tolerance, cwd=folder), 2, f"tolerance is {tolerance}", "--tolerance", "at least 0")


def structure(folder):
    run, said = compared(folder, linear(), linear())
    equal((said["passed"], said["structure"], said["notes"], said["same_signature"]), (True, [], [], True), "a model and itself")
    for other, word in ((linear(x="q"), 'input 0: "x"'), (linear(y="z"), 'output 0: "y"')):
        run, said = compared(folder, linear(), other)
        check_error(run, 4, ("signatures differ", word), "a.onnx and b.onnx")
        equal((said["passed"], said["same_signature"], said["outputs"][0]["equal"]), (False, False, True), word)
    one_more = onnx.tensor("spare", [2], [1.0, 2.0])
    for other, line in ((linear(axis=-1), 'node "soft", attribute "axis": 1 | -1'), (linear(opset=13), 'opset of "ai.onnx": 17 | 13'),
                        (linear(extra=[one_more]), 'initializer "spare": nothing | float32[2]')):
        run, said = compared(folder, linear(), other)
        equal((run.returncode, said["structure"]), (0, [line]), "what differs")
        check(f"structure: {line}\n" in succeeds("verify", "a.onnx", "b.onnx", cwd=folder).stdout, "the line is in the text")
    _, said = compared(folder, linear(extra=[one_more]), linear())
    equal(said["structure"], ['initializer "spare": float32[2] | nothing'], "what only the first has")
    entry = onnx.data(14, onnx.data(1, "author") + onnx.data(2, "b"))
    _, said = compared(folder, linear(), linear(metadata=entry))
    equal((said["passed"], said["structure"], said["notes"]), (True, [], ['the file\'s "metadata author": nothing | b']), "metadata is a note")


def pruned(folder):
    for output, flags in (("zeros.onnx", ["--sparsity", "0.5"]), ("cut.onnx", ["--pattern", "channel", "--sparsity", "0.4"])):
        succeeds("prune", DIGITS, "-o", output, *flags, "--quiet", cwd=folder)
        run = sparsify("verify", DIGITS, output, "--json", cwd=folder)
        check_error(run, 4, "outputs differ", output, ("expected to differ", "49.5 % are zero" if output == "zeros.onnx" else "weights", f"sparsify eval {output}", "--tolerance"))
        said = json.loads(run.stdout)
        check(said["same_signature"] and not said["notes"], f"names and signatures are kept: {said}")
        equal(said["structure"] == [], output == "zeros.onnx", f"structure of {output}: {said['structure'][:2]}")
        allowed = run.stderr.split("--tolerance ")[1].split()[0]
        succeeds("verify", DIGITS, output, "--tolerance", allowed, cwd=folder)


def long_names():
    blocks = [f"/layer{i}/with/a/very/long/name/of/its/own/that/differs/{'left' if i % 2 else 'right'}/in/the/middle/only/conv1/Conv" for i in range(1, 5)]
    nodes, tensors, at = [], [], "x"
    for i, name in enumerate(blocks):
        tensors.append(onnx.tensor(f"w{i}", [4, 4], VALUES[:16]))
        nodes.append(onnx.node("MatMul", [at, f"w{i}"], ["y" if i == 3 else f"m{i}"], name))
        at = f"m{i}"
    return blocks, onnx.model(nodes, tensors, [onnx.value("x", ["N", 4])], [onnx.value("y", ["N", 4])])


def names(folder):
    blocks, content = long_names()
    path = write(os.path.join(folder, "m.onnx"), content)
    piped = [succeeds("inspect", path).stdout, succeeds("prune", path, "--sparsity", "0.5", "--dry-run", "--set", "prune.0.select.first_last=true").stdout]
    for text in (*piped, on_terminal(400, "inspect", path), on_terminal(80, "inspect", path, COLUMNS="400")):
        for name in blocks:
            check(name in text, f"{name} is hidden in:\n{text}")
    narrow = [line for line in on_terminal(100, "inspect", path).splitlines() if "Conv" in line]
    equal((len(narrow), len({line.split()[0] for line in narrow})), (4, 4), f"rows that can be told apart: {narrow}")
    check(all(len(line) <= 100 for line in narrow), f"rows keep to the terminal: {narrow}")


case("integers are equal or not, float64 is compared as float64", integers)
case("what tolerance 0 and the floor mean", floor)
case("names, signatures, attributes, opsets and initializers of both sides are compared", structure)
case("a pruned model is expected to differ from the dense one, and which tolerance allows it", pruned)
case("names are whole without a terminal, and told apart on a narrow one", names)
finish()
