"""sensitivity.py PROGRAM [NAME]: what `sparsify sensitivity` prints, writes and refuses."""
import csv
import io
import json
import os
import signal
import subprocess
import time

from harness import DIGITS, EVAL, PROGRAM, case, check, check_error, equal, finish, listing, read, sparsify, succeeds, write

QUICK = ["--data", EVAL, "--samples", "32", "--layers", "*conv1*"]


def writes(where):
    out = os.path.join(where, "s")
    run = succeeds("sensitivity", DIGITS, *QUICK, "--sparsities", "0.5,0.9", "--patterns", "unstructured,2:4,{block: [4, 1]}", "-o", out)
    check("block1.conv1" in run.stdout and "2:4" in run.stdout, f"the table lacks a layer or a pattern:\n{run.stdout}")
    equal(sorted(listing(out)), ["sensitivity.csv", "sensitivity.html", "sensitivity.json"], "files")
    report = json.loads(read(os.path.join(out, "sensitivity.json")))
    equal((report["schema_version"], report["kind"]), (1, "sensitivity"), "head of the document")
    equal([len(layer["points"]) for layer in report["layers"]], [5, 5, 5], "points of each layer")
    rows = list(csv.DictReader(io.StringIO(read(os.path.join(out, "sensitivity.csv")).decode())))
    points = [(layer["name"], point) for layer in report["layers"] for point in layer["points"]]
    equal(len(rows), len(points), "lines of the CSV file")
    for row, (name, point) in zip(rows, points):
        equal((row["name"], row["pattern"], int(row["kept"]), float(row["divergence"])), (name, point["pattern"], point["kept"], point["divergence"]), "a line")
    page = read(os.path.join(out, "sensitivity.html")).decode()
    check("<svg" in page and "http" not in page.replace("http-equiv", ""), "the page has no curves, or refers to something outside")


def prints_json(where):
    run = succeeds("sensitivity", DIGITS, *QUICK, "--sparsities", "0.9", "--json", cwd=where)
    report = json.loads(run.stdout)
    equal(report["samples"], 32, "samples")
    equal(report["verification"], [{"check": "restored", "passed": True, "detail": report["verification"][0]["detail"]}], "verification")
    equal(listing(where), {}, "files without -o")


def refuses(where):
    out = os.path.join(where, "s")
    succeeds("sensitivity", DIGITS, *QUICK, "--sparsities", "0.9", "-o", out)
    before = listing(out)
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "-o", out), 2, fix="--overwrite")
    equal(listing(out), before, "the existing results")
    succeeds("sensitivity", DIGITS, *QUICK, "--sparsities", "0.8", "-o", out, "--overwrite")
    check(listing(out) != before, "--overwrite replaced nothing")
    file = write(os.path.join(where, "file"), "x")
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "-o", file), 3, where=file)
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "-o", os.path.join(where, "none", "s")), 3, where="none")
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "--sparsities", "0.5,1.4"), 2, what="1.4", where="--sparsities")
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "--sparsities", "half"), 2, what="half", where="--sparsities")
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "--sparsities", ""), 2, fix="--sparsities")
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "--patterns", "4:2"), 2, where="--patterns")
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "--patterns", "unstructred"), 2, fix="unstructured")
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "--criterion", "magnitud"), 2, fix="magnitude")
    check_error(sparsify("sensitivity", DIGITS, "--data", EVAL, "--samples", "-3"), 2, where="--samples")
    check_error(sparsify("sensitivity", DIGITS, "--data", EVAL, "--layers", "nothing*"), 2, what="nothing*")
    check_error(sparsify("sensitivity", DIGITS), 2, what="data", fix="--data")
    check_error(sparsify("sensitivity", DIGITS, *QUICK, "--metric", "top2"), 2, fix="top1")
    check_error(sparsify("sensitivity", os.path.join(where, "no.onnx"), *QUICK), 3, where="no.onnx")
    check_error(sparsify("sensitivity", "--data", EVAL), 2, what="model")


def feeds_the_allocator(where):
    """Groups and weights in one table; a word where the table is of another model or criterion."""
    folder = os.path.join(where, "s")
    succeeds("sensitivity", DIGITS, *QUICK, "--sparsities", "0.5,0.9", "--patterns", "unstructured,channel", "-o", folder)
    table = "{name: sensitivity, table: " + os.path.join(folder, "sensitivity.json") + "}"
    rule = ["--sparsity", "0.6", "--include", "*conv1*", "--allocation", table]
    run = succeeds("prune", DIGITS, "-o", os.path.join(where, "a.onnx"), *rule)
    check("was measured" not in run.stderr, f"a word about the right table: {run.stderr}")
    short = [*rule[:-1], "{sensitivity: {table: " + os.path.join(folder, "sensitivity.json") + "}}"]
    run = succeeds("prune", os.path.join(where, "a.onnx"), "-o", os.path.join(where, "d.onnx"), *short, "--criterion", "random")
    check("was measured on another model file" in run.stderr, f"nothing of the other model in the short form: {run.stderr}")
    run = succeeds("prune", os.path.join(where, "a.onnx"), "-o", os.path.join(where, "b.onnx"), *rule, "--criterion", "random")
    check("was measured on another model file" in run.stderr, f"nothing of the other model: {run.stderr}")
    check("with the criterion magnitude, and the rule's is random" in run.stderr, f"nothing of the other criterion: {run.stderr}")
    check_error(sparsify("prune", DIGITS, "-o", os.path.join(where, "c.onnx"), "--pattern", "channel", "--sparsity", "0.5", "--allocation", table), 2,
                what='ranks units itself, not by "sensitivity"', where="--allocation", fix="scope")


def interrupted(where):
    out = os.path.join(where, "s")
    many = ",".join(f"{i / 1000:.3f}" for i in range(1, 1000))  # more than any machine measures in two seconds
    process = subprocess.Popen([PROGRAM, "sensitivity", DIGITS, "--data", EVAL, "-o", out, "--sparsities", many], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    equal(process.returncode, 130, "exit code")
    equal(listing(where), {}, "what is left")


case("sensitivity writes the same figures as JSON, CSV and a page", writes)
case("sensitivity prints one JSON document and writes nothing without -o", prints_json)
case("sensitivity refuses bad flags, files and folders, with the place and the fix", refuses)
case("a table of sensitivity feeds the allocator of that name", feeds_the_allocator)
case("an interrupted sensitivity leaves nothing", interrupted)
finish()
