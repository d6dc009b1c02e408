#!/usr/bin/env python3
"""Compares the masks of criteria with PyTorch's on ResNet-20: the same images, the same scores, the same weights kept?

    criteria_torch.py DENSE.onnx CIFAR_FOLDER taylor|snip|fisher|grasp|wanda|synflow FOLDER.sparsify [--images 256] [--batch 128] [--sparsity 0.8]

FOLDER.sparsify is what `sparsify prune --config configs/results/criteria.yaml --set data.calibration.samples=null --set data.calibration.limit=256
--set prune.0.min_density=0 --set prune.0.criterion=NAME` left. `grasp` and `synflow` go through the steps of their authors' code: the gradient over all batches and then its product with each
batch's, at a temperature of 200; 100 rounds on the network of absolute values and an input of ones. Prints the share of weights on which both agree.
"""
import argparse
import json
import struct

import numpy as np
import torch
from torch.nn import functional as F

from resnet_torch import ResNet
from train_torch import load_images, load_weights, normalised


def read_masks(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    body = data[8 + size:]
    entries = {name: entry for name, entry in json.loads(data[8:8 + size]).items() if name != "__metadata__"}
    return {name: np.frombuffer(body[slice(*entry["data_offsets"])], np.uint8).reshape(entry["shape"]) for name, entry in entries.items()}


def keep_highest(scores, removed):
    """Mask over all weights, without the `removed` lowest."""
    flat = torch.cat([score.double().flatten() for score in scores.values()])
    kept = torch.zeros(len(flat), dtype=torch.bool)
    kept[torch.topk(flat, len(flat) - removed).indices] = True
    return kept


def gradients_of(network, weights, batches):
    for x, y in batches:
        network.zero_grad()
        F.cross_entropy(network(x), y).backward()
        yield {name: weight.grad.double() for name, weight in weights.items()}


def taylor(network, weights, batches, removed):
    sums = {name: 0 for name in weights}
    for gradients in gradients_of(network, weights, batches):
        sums = {name: sums[name] + (gradients[name] * weight).square() for name, weight in weights.items()}
    return keep_highest(sums, removed)


def snip(network, weights, batches, removed):
    sums = {name: 0 for name in weights}
    for gradients in gradients_of(network, weights, batches):
        sums = {name: sums[name] + gradients[name] * weight for name, weight in weights.items()}
    return keep_highest({name: total.abs() for name, total in sums.items()}, removed)


def fisher(network, weights, batches, removed):
    """Squared gradients of single samples."""
    singles = [(x[i:i + 1], y[i:i + 1]) for x, y in batches for i in range(len(x))]
    sums = {name: 0 for name in weights}
    for gradients in gradients_of(network, weights, singles):
        sums = {name: sums[name] + gradients[name].square() for name in weights}
    return keep_highest({name: sums[name] * weight.double().square() for name, weight in weights.items()}, removed)


def grasp(network, weights, batches, removed):
    """Wang et al. 2020: -theta (H g) goes where it is largest."""
    tensors = list(weights.values())
    total = [0] * len(tensors)
    for x, y in batches:
        total = [one + more.detach() for one, more in zip(total, torch.autograd.grad(F.cross_entropy(network(x) / 200, y), tensors))]
    products = [0] * len(tensors)
    for x, y in batches:
        gradient = torch.autograd.grad(F.cross_entropy(network(x) / 200, y), tensors, create_graph=True)
        flow = sum((fixed * one).sum() for fixed, one in zip(total, gradient))
        products = [one + more.detach() for one, more in zip(products, torch.autograd.grad(flow, tensors))]
    return keep_highest({name: weight.double() * product.double() for (name, weight), product in zip(weights.items(), products)}, removed)


def wanda(network, weights, batches, removed):
    """|W_ij| ||X_j||, X_j being what a kernel's weight reads at all places."""
    squares, hooks = {}, []
    for name, module in network.named_modules():
        if name + ".weight" not in weights:
            continue

        def count(layer, inputs, name=name):
            columns = F.unfold(inputs[0], layer.kernel_size, padding=layer.padding, stride=layer.stride).double()
            squares[name] = squares.get(name, 0) + columns.square().sum((0, 2))

        hooks.append(module.register_forward_pre_hook(count))
    with torch.no_grad():
        for x, _ in batches:
            network(x)
    for hook in hooks:
        hook.remove()
    return keep_highest({name: weight.abs() * squares[name.removesuffix(".weight")].sqrt().view(1, *weight.shape[1:]) for name, weight in weights.items()}, removed)


def synflow(network, weights, batches, removed):
    """Tanaka et al. 2020: |theta dR/dtheta| on the network of absolute values in float64, in 100 rounds."""
    network = network.double()
    with torch.no_grad():
        for value in network.state_dict().values():
            value.abs_()
    weights = {name: weight for name, weight in network.named_parameters() if name in weights}
    count = sum(weight.numel() for weight in weights.values())
    kept = torch.ones(count, dtype=torch.bool)
    for step in range(1, 101):
        gradients = torch.autograd.grad(network(torch.ones(1, 3, 32, 32, dtype=torch.float64)).sum(), list(weights.values()))
        scores = {name: torch.abs(weight * gradient).detach() for (name, weight), gradient in zip(weights.items(), gradients)}
        kept = keep_highest(scores, count - round(count * (1 - removed / count) ** (step / 100)))
        with torch.no_grad():
            for weight, part in zip(weights.values(), kept.split([weight.numel() for weight in weights.values()])):
                weight.mul_(part.view_as(weight))
    return kept


SCORES = {"taylor": taylor, "snip": snip, "fisher": fisher, "grasp": grasp, "wanda": wanda, "synflow": synflow}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("cifar")
    parser.add_argument("criterion", choices=sorted(SCORES))
    parser.add_argument("evidence")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--sparsity", type=float, default=0.8)
    arguments = parser.parse_args()
    network = ResNet().eval()
    load_weights(network, arguments.model)
    images, labels = load_images(arguments.cifar, ["data_batch_1"])
    weights = {name: weight for name, weight in network.named_parameters() if weight.dim() == 4 and name != "conv1.weight"}
    batches = [(normalised(images[first:first + arguments.batch]), labels[first:first + arguments.batch])
               for first in range(0, arguments.images, arguments.batch)]
    batches = [(x[:arguments.images - i * arguments.batch], y[:arguments.images - i * arguments.batch]) for i, (x, y) in enumerate(batches)]
    kept = SCORES[arguments.criterion](network, weights, batches, round(arguments.sparsity * sum(weight.numel() for weight in weights.values())))
    masks = read_masks(arguments.evidence + "/masks.safetensors")
    ours = torch.cat([torch.from_numpy(masks[name].copy()).bool().flatten() for name in weights])
    print(f"{arguments.criterion}: {int((kept == ours).sum())} of {len(kept)} weights agree")


if __name__ == "__main__":
    main()
