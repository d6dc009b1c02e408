#!/usr/bin/env python3
"""Writes the two text classifiers of docs/results.md, "Text: SST-2", with drawn weights: an average of embeddings with three linear layers, and one
transformer layer. Both take input_ids and attention_mask.

    tests/benchmarks/text_networks.py FOLDER     # averages.onnx and transformer.onnx; needs onnx and numpy (tests/benchmarks/setup_peers)
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TOKENS = 4000  # of the vocabulary, as tokenizers_reference.py makes it


class Network:
    """Nodes and tensors as they are written down; each returns the name of its value."""

    def __init__(self):
        self.nodes, self.tensors = [], []

    def drawn(self, name, *shape):
        values = np.random.default_rng(len(self.tensors)).standard_normal(shape) * 0.05
        return self.tensor(name, values.astype(np.float32))

    def full(self, name, value, *shape):
        return self.tensor(name, np.full(shape, value, np.float32))

    def tensor(self, name, values):
        self.tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def op(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def linear(self, x, name, inputs, outputs):
        product = self.op("MatMul", [x, self.drawn(f"{name}.weight", inputs, outputs)], f"{name}_product")
        return self.op("Add", [product, self.full(f"{name}.bias", 0, outputs)], name)

    def norm(self, x, name, width):
        return self.op("LayerNormalization", [x, self.full(f"{name}.weight", 1, width), self.full(f"{name}.bias", 0, width)], name, axis=-1)

    def average(self, x, mask):
        """Over the positions that the mask keeps: [n, length, width] -> [n, width]."""
        column = self.op("Unsqueeze", [mask, self.tensor("last", [2])], "column")
        positions = self.tensor("positions", [1])
        total = self.op("ReduceSum", [self.op("Mul", [x, column], "kept"), positions], "total", keepdims=0)
        return self.op("Div", [total, self.op("ReduceSum", [mask, positions], "count", keepdims=1)], "mean")

    def save(self, path, length):
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["N", length]) for name in ("input_ids", "attention_mask")]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])]
        graph = helper.make_graph(self.nodes, path.stem, inputs, outputs, self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def averages():
    width, hidden = 96, 128
    net = Network()
    words = net.op("Gather", [net.drawn("embedding", TOKENS, width), "input_ids"], "words")
    x = net.average(words, net.op("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT))
    x = net.op("Relu", [net.linear(x, "fc1", width, hidden)], "active1")
    x = net.op("Relu", [net.linear(x, "fc2", hidden, hidden)], "active2")
    net.op("Identity", [net.linear(x, "fc3", hidden, 2)], "logits")
    return net


def transformer(length):
    width, inner, heads = 64, 256, 4
    net = Network()
    words = net.op("Gather", [net.drawn("embedding", TOKENS, width), "input_ids"], "words")
    x = net.norm(net.op("Add", [words, net.drawn("place", length, width)], "embedded"), "norm0", width)
    mask = net.op("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    absent = net.op("Sub", [net.op("Unsqueeze", [mask, net.tensor("middle", [1, 2])], "mask4"), net.full("one", 1, 1)], "absent")
    bias = net.op("Mul", [absent, net.full("large", 1e4, 1)], "mask_bias")
    split = net.tensor("split", [0, length, heads, width // heads])

    def headed(name, order):
        return net.op("Transpose", [net.op("Reshape", [net.linear(x, name, width, width), split], f"{name}_split")], f"{name}_heads", perm=order)

    query, key, value = headed("query", [0, 2, 1, 3]), headed("key", [0, 2, 3, 1]), headed("value", [0, 2, 1, 3])
    scaled = net.op("Mul", [net.op("MatMul", [query, key], "products"), net.full("scale", (width // heads) ** -0.5, 1)], "scaled")
    attention = net.op("Softmax", [net.op("Add", [scaled, bias], "scores")], "attention", axis=-1)
    context = net.op("Transpose", [net.op("MatMul", [attention, value], "context")], "context_back", perm=[0, 2, 1, 3])
    context = net.op("Reshape", [context, net.tensor("join", [0, length, width])], "context_joined")
    x = net.norm(net.op("Add", [x, net.linear(context, "out", width, width)], "sum1"), "norm1", width)
    active = net.op("Relu", [net.linear(x, "up", width, inner)], "active")
    x = net.norm(net.op("Add", [x, net.linear(active, "down", inner, width)], "sum2"), "norm2", width)
    net.op("Identity", [net.linear(net.average(x, mask), "classifier", width, 2)], "logits")
    return net


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    averages().save(folder / "averages.onnx", "L")
    transformer(32).save(folder / "transformer.onnx", 32)
