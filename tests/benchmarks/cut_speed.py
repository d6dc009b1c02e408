#!/usr/bin/env python3
"""Seconds and memory of a structured run on a graph of many nodes: analysis and choice alone, then the whole run with its proof.

    tests/benchmarks/cut_speed.py build/bin/sparsify [--blocks 100] [--width 256] > table.md

The graph: blocks of convolution, BatchNormalization, Relu, convolution, Add (5 nodes each) with every tenth block concatenated and
squeezed. Memory is the largest resident set of the process, as the kernel counts it, beside the size of the model. Needs onnx and numpy."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def graph(blocks, width):
    random = numpy.random.default_rng(0)
    nodes, tensors = [], []

    def weight(name, *shape):
        tensors.append(numpy_helper.from_array((random.standard_normal(shape) / numpy.sqrt(max(1, numpy.prod(shape[1:])))).astype(numpy.float32), name))
        return name

    def node(op, inputs, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], name=f"{op}_{len(nodes)}", **attributes))
        return nodes[-1].output[0]

    last = node("Conv", ["x", weight("stem", width, 3, 1, 1)])
    for i in range(blocks):
        inner = node("Conv", [last, weight(f"a{i}", width, width, 3, 3)], pads=[1, 1, 1, 1])
        ones = {name: numpy_helper.from_array(numpy.full(width, value, numpy.float32), f"{name}{i}") for name, value in
                (("scale", 1), ("shift", 0.1), ("mean", 0), ("variance", 1))}
        tensors.extend(ones.values())
        inner = node("Relu", [node("BatchNormalization", [inner, *(tensor.name for tensor in ones.values())])])
        branch = node("Conv", [inner, weight(f"b{i}", width, width, 1, 1)])
        if i % 10 == 9:
            last = node("Conv", [node("Concat", [branch, last], axis=1), weight(f"c{i}", width, 2 * width, 1, 1)])
        else:
            last = node("Add", [branch, last])
    flat = node("Flatten", [node("GlobalAveragePool", [last])])
    nodes.append(helper.make_node("Gemm", [flat, weight("f", width, 10)], ["y"], name="Gemm"))
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    made = helper.make_graph(nodes, "blocks", [value("x", 1, 3, 8, 8)], [value("y", 1, 10)], tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def measured(command, environment):
    """Wall and processor seconds, the report, and the largest resident set in bytes."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{' '.join(map(str, command))} ended with {status}"
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, json.loads(output), usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--blocks", type=int, default=100)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--only-make", metavar="FILE", help="write the model and stop")
    arguments = parser.parse_args()
    if arguments.only_make:
        model = graph(arguments.blocks, arguments.width)
        onnx.save(model, arguments.only_make)
        print(len(model.graph.node))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "blocks.onnx"
        # In a process of its own: what a process has held counts for the processes it starts.
        made = subprocess.run([sys.executable, __file__, "x", "--blocks", str(arguments.blocks), "--width", str(arguments.width), "--only-make", path],
                              check=True, capture_output=True, text=True)
        size = path.stat().st_size
        print(f"{made.stdout.strip()} nodes, {size / 1e6:.0f} MB\n")
        print("| run | analysis, choice s | write s | verify s | wall s | processor s | largest resident set | of the model |\n|---|---|---|---|---|---|---|---|")
        cut = [arguments.program, "prune", path, "--pattern", "channel", "--set", "prune.0.sparsity={macs: 0.5}", "--set", "threads=1", "--json"]
        for name, extra in (("--dry-run", ["--dry-run"]), ("whole run", ["-o", pathlib.Path(folder) / "cut.onnx", "--set", "report.formats=[json]"])):
            wall, processor, report, peak = measured([*cut, *extra], {"SPARSIFY_PYTHON": ""})
            stages = report["timings"]
            stage = lambda key: f"{stages[key]:.2f}" if key in stages else "-"
            print(f"| {name} | {stage('decide_s')} | {stage('write_s')} | {stage('verify_s')} | {wall:.2f} | {processor:.2f} | {peak / 1e6:.0f} MB | {peak / size:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
