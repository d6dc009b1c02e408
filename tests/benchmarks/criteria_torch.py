#!/usr/bin/env python3
"""Compares the masks of gradient criteria with PyTorch's autograd on ResNet-20: the same images, the same scores, the same weights kept?

    criteria_torch.py DENSE.onnx CIFAR_FOLDER taylor|snip FOLDER.sparsify [--images 256] [--batch 128] [--sparsity 0.8]

FOLDER.sparsify is what `sparsify prune --config configs/results/criteria.yaml --set data.calibration.samples=null --set data.calibration.limit=256`
left for the criterion. Prints the share of weights on which both agree.
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("cifar")
    parser.add_argument("criterion", choices=["taylor", "snip"])
    parser.add_argument("evidence")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--sparsity", type=float, default=0.8)
    arguments = parser.parse_args()
    network = ResNet().eval()
    load_weights(network, arguments.model)
    images, labels = load_images(arguments.cifar, ["data_batch_1"])
    weights = {name: weight for name, weight in network.named_parameters() if weight.dim() == 4 and name != "conv1.weight"}
    sums = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
    for first in range(0, arguments.images, arguments.batch):
        batch = slice(first, min(first + arguments.batch, arguments.images))
        network.zero_grad()
        F.cross_entropy(network(normalised(images[batch])), labels[batch]).backward()
        for name, weight in weights.items():
            product = (weight.grad * weight).double()
            sums[name] += product ** 2 if arguments.criterion == "taylor" else product
    scores = torch.cat([total.abs().flatten() for total in sums.values()])
    kept = torch.zeros(len(scores), dtype=torch.bool)
    kept[torch.topk(scores, len(scores) - round(arguments.sparsity * len(scores))).indices] = True
    masks = read_masks(arguments.evidence + "/masks.safetensors")
    ours = torch.cat([torch.from_numpy(masks[name].copy()).bool().flatten() for name in sums])
    print(f"{arguments.criterion}: {int((kept == ours).sum())} of {len(kept)} weights agree")


if __name__ == "__main__":
    main()
