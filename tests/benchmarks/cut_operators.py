#!/usr/bin/env python3
"""Hunts for operators whose rule for cutting is wrong.

    tests/benchmarks/cut_operators.py build/bin/test_pipeline ../shared/conformance/*.tar.xz [--cases 6]

Around every operator of the official backend test data a small network is made: one input of the operator is what a MatMul and a Relu (or
Sigmoid) produce, along each of its axes in turn; the operator's other inputs are stored; one axis of its result is read by another MatMul,
or summed over, which only zeros may leave. Every network is cut at random and proven by the hidden test `[.folder]` of test_pipeline.
Prints how many were proven, held, and not equal; exits with 1 if any was not equal. A dense network that is not finite (a division by a
Relu) proves nothing. Needs the Python package onnx.
"""
import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

import numpy
import onnx
from onnx import helper, numpy_helper

DRAWS = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
BODIES = {"If", "Loop", "Scan", "SequenceMap"}
MOST = 4096  # elements of an operand
random = numpy.random.default_rng(0)


def array(path):
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


def cases(root, most):
    """(name, model, inputs, outputs) of models of one node, at most so many for each operator."""
    seen = collections.Counter()
    for path in sorted(root.rglob("model.onnx")):
        try:
            model = onnx.load(path)
            graph = model.graph
            operator = graph.node[0].op_type
            if len(graph.node) != 1 or model.functions or operator in DRAWS | BODIES:
                continue
            data = path.parent / "test_data_set_0"
            inputs = [array(data / f"input_{i}.pb") for i in range(len(graph.input))]
            outputs = [array(data / f"output_{i}.pb") for i in range(len(graph.output))]
        except Exception:  # sequences, optionals, texts
            continue
        if seen[operator] < most and all(value.size <= MOST for value in inputs + outputs):
            seen[operator] += 1
            yield path.parent.name, model, inputs, outputs


def moved_last(axis, rank):
    """The permutation that moves an axis behind all others, and the one that moves it back."""
    there = [i for i in range(rank) if i != axis] + [axis]
    return there, [there.index(i) for i in range(rank)]


def network(model, inputs, outputs, which, axis, result, read, summed):
    opset = max([one.version for one in model.opset_import if one.domain in ("", "ai.onnx")])
    graph = model.graph
    stored = [numpy_helper.from_array(value, graph.input[i].name) for i, value in enumerate(inputs) if i != which]
    there, back = moved_last(axis, inputs[which].ndim)
    shape = [inputs[which].shape[i] for i in there]
    width = shape[-1]
    stored.append(numpy_helper.from_array((numpy.eye(width) + 0.3 * random.standard_normal((width, width))).astype(numpy.float32), "around.first"))
    nodes = [helper.make_node("MatMul", ["around.x", "around.first"], ["around.hidden"]),
             helper.make_node("Relu" if random.random() < 0.75 else "Sigmoid", ["around.hidden"], ["around.active"]),
             helper.make_node("Transpose", ["around.active"], [graph.input[which].name], perm=back), graph.node[0]]
    name = graph.output[result].name
    if summed:
        given = list(outputs[result].shape)
        given[read] = 1
        if opset >= 13:
            stored.append(numpy_helper.from_array(numpy.array([read], numpy.int64), "around.axis"))
            nodes.append(helper.make_node("ReduceSum", [name, "around.axis"], ["around.y"]))
        else:
            nodes.append(helper.make_node("ReduceSum", [name], ["around.y"], axes=[read]))
    else:
        there, _ = moved_last(read, outputs[result].ndim)
        given = [outputs[result].shape[i] for i in there[:-1]] + [2]
        stored.append(numpy_helper.from_array(random.standard_normal((outputs[result].shape[read], 2)).astype(numpy.float32), "around.second"))
        nodes += [helper.make_node("Transpose", [name], ["around.turned"], perm=there), helper.make_node("MatMul", ["around.turned", "around.second"], ["around.y"])]
    made = helper.make_graph(nodes, "around", [helper.make_tensor_value_info("around.x", onnx.TensorProto.FLOAT, shape)],
                             [helper.make_tensor_value_info("around.y", onnx.TensorProto.FLOAT, given)], stored)
    made = helper.make_model(made, opset_imports=list(model.opset_import), ir_version=max(model.ir_version, 8))
    onnx.checker.check_model(made)
    return made


def axes_of(values):
    """(value, axis) of floats, of axes that something can be removed from."""
    for i, value in enumerate(values):
        if value.dtype == numpy.float32:
            yield from ((i, axis) for axis in range(value.ndim) if value.shape[axis] > 1)


def write_networks(root, folder, most):
    operators = set()
    for name, model, inputs, outputs in cases(root, most):
        for which, axis in axes_of(inputs):
            for result, read in axes_of(outputs):
                for summed in (False, True):
                    try:
                        made = network(model, inputs, outputs, which, axis, result, read, summed)
                    except (onnx.checker.ValidationError, ValueError):
                        continue
                    onnx.save(made, folder / f"{name}.{which}{axis}{result}{read}{'s' if summed else 'm'}.onnx")
                    operators.add(model.graph.node[0].op_type)
    return operators


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test_pipeline")
    parser.add_argument("data", help="the backend test data: an archive, or the folder that it holds")
    parser.add_argument("--cases", type=int, default=6, help="of each operator")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(given.data)
        if root.is_file():
            with tarfile.open(root) as archive:
                archive.extractall(pathlib.Path(scratch) / "data", filter="data")
            root = pathlib.Path(scratch) / "data"
        folder = pathlib.Path(scratch) / "networks"
        folder.mkdir()
        operators = write_networks(root, folder, given.cases)
        run = subprocess.run([given.test_pipeline, "[.folder]"], capture_output=True, text=True, env={**os.environ, "SPARSIFY_CUT_FOLDER": str(folder)})
    verdicts = re.findall(r"^\S*/(\S+)\.onnx (proven|held|FAILED|ERROR)(.*)$", run.stdout, re.MULTILINE)
    verdicts = [(name, "NAN" if verdict == "FAILED" and "nan" in why else verdict, why) for name, verdict, why in verdicts]
    for name, verdict, why in verdicts:
        if verdict in ("FAILED", "ERROR"):
            print(f"{verdict} {name}{why[:200]}", file=sys.stderr)
    count = collections.Counter(verdict for _, verdict, _ in verdicts)
    print(f"{sum(count.values())} networks around {len(operators)} operators: {count['proven']} cut and equal, {count['held']} held, "
          f"{count['NAN']} not finite, {count['ERROR']} that do not run, {count['FAILED']} not equal")
    return 1 if count["FAILED"] or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
