#!/usr/bin/env python3
"""Cuts every graph to half of its MACs (or parameters; more where less cannot be), and runs what comes out in ONNX Runtime.

    tests/benchmarks/cut_sweep.py build/bin/sparsify ../shared/zoo ../shared/models [--names mlp resnet18_slim] [--pattern head] > table.md

With `--pattern head` or `layer` half of the heads or residual blocks go, or a quarter; networks that have none are left out of the table.

The program itself proves each result equal to the masked dense model, on LibTorch and on the ONNX Runtime of this Python; this script
runs the cut model once more, on the recorded input of the network. Exits with 1 if a network that was cut does not run or is not equal.
Without onnxruntime that column stays empty.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import onnx
    import onnxruntime
except ImportError:
    onnxruntime = None


def models(roots):
    for root in map(pathlib.Path, roots):
        for path in sorted(root.rglob("*.onnx")):
            yield (path.parent.name if path.parent != root else path.stem), path


def recorded_inputs(path):
    for folder in (path.parent / "test_data_set_0", path.parent / "recorded" / path.stem / "test_data_set_0"):
        if folder.exists():
            return [onnx.numpy_helper.to_array(onnx.load_tensor(str(folder / f"input_{i}.pb"))) for i in range(len(list(folder.glob("input_*.pb"))))]
    return None


def run_onnxruntime(path, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs)))


TARGETS = {
    "channel": ["{macs: 0.5}", "{params: 0.5}", "{params: 0.6}", "{params: 0.75}"],
    "head": ["0.5", "0.25"],
    "layer": ["0.5", "0.25"],
}
HAS_NONE = ("the model has no head that can be told apart", "the model has no residual block", "selected group cannot be cut", "selected groups can be cut")


def cut(program, path, output, pattern, target):
    command = [program, "prune", str(path), "-o", str(output), "--overwrite", "--pattern", pattern, "--json", "--set", f"prune.0.sparsity={target}",
               "--set", "threads=1", "--set", "report.formats=[json]"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600,
                          env=os.environ | {"SPARSIFY_PYTHON": sys.executable})
    return done.returncode, (json.loads(done.stdout) if done.stdout.startswith("{") else None), done.stderr


def row(program, name, path, folder, pattern):
    output = folder / "cut.onnx"
    problem = ""
    for target in TARGETS[pattern]:
        code, report, errors = cut(program, path, output, pattern, target)
        if code == 0:
            break
        lines = [line for line in errors.splitlines() if line.startswith("error:")]
        failed = [check["detail"] for check in (report or {}).get("verification", []) if not check["passed"]]
        problem = (failed or lines or [f"exit {code}"])[0].removeprefix("error: ")
        if pattern != "channel" and any(text in problem for text in HAS_NONE):
            return None
        if code == 4:
            return {"name": name, "problem": problem, "wrong": True}
    if code != 0:
        return {"name": name, "problem": problem, "wrong": code not in (2, 3)}
    before, after = report["model"], report["result"]
    details = {check["check"]: check["detail"] for check in report["verification"]}
    largest = lambda detail: detail.split("largest difference ")[1].split(" of")[0]
    elsewhere = details.get("outputs_equal_onnxruntime")
    share = lambda key: f"{after[key] / before[key]:.3f}" if before[key] and after[key] else "-"
    result = {"name": name, "budget": target.strip("{}").replace(":", ""), "macs": share("macs"), "params": share("params"), "groups": len(report.get("groups", [])),
              "seconds": report["timings"]["total_s"], "difference": largest(details["outputs_equal"]), "wrong": False, "ort": ""}
    if onnxruntime is not None:
        inputs = recorded_inputs(path)
        try:
            run_onnxruntime(output, inputs)
            result["ort"] = "runs" + ("" if elsewhere is None else f", equal: {largest(elsewhere)}")
        except Exception as error:  # the message is the finding
            try:
                run_onnxruntime(path, inputs)
                result["ort"], result["wrong"] = str(error).splitlines()[0][:160], True
            except Exception:
                result["ort"] = "neither does the input"
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("roots", nargs="+")
    parser.add_argument("--names", nargs="*", default=[])
    parser.add_argument("--pattern", choices=list(TARGETS), default="channel")
    arguments = parser.parse_args()
    print("| network | budget | MACs | params | groups cut | largest difference | ONNX Runtime | s |\n|---|---|---|---|---|---|---|---|")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, path in models(arguments.roots):
            if arguments.names and name not in arguments.names:
                continue
            found = row(arguments.program, name, path, pathlib.Path(folder), arguments.pattern)
            if found is None:
                continue
            wrong += found["wrong"]
            if "problem" in found:
                print(f"| {name} | {'**WRONG**' if found['wrong'] else 'not cut'}: {found['problem'][:200]} | | | | | | |", flush=True)
            else:
                print(f"| {name} | {found['budget']} | {found['macs']} | {found['params']} | {found['groups']} | {found['difference']} | {found['ort']} | "
                      f"{found['seconds']:.1f} |", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
