#!/usr/bin/env python3
"""The cases of kernels.cpp in PyTorch, one thread, processor time: what its users write for one-shot pruning.

    .deps/peers/bin/python tests/benchmarks/kernels_torch.py [--megabytes N] [--rounds N]

Prints JSON: for every peer the case of bench_kernels that does the same work, and its median seconds."""
import argparse
import itertools
import json
import statistics
import time

import torch
from torch.nn.utils import prune

COLUMNS = 11008


class Layer(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)


def two_of_four_by_topk(weight):
    groups = weight.view(-1, 4)
    mask = torch.zeros_like(groups, dtype=torch.bool)
    mask.scatter_(1, groups.abs().topk(2, dim=1).indices, True)
    groups.mul_(mask)


PATTERNS = torch.tensor([[float(i in pair) for i in range(4)] for pair in itertools.combinations(range(4), 2)])


def two_of_four_by_patterns(weight):
    """The rule of apex's ASP: the best of the six patterns."""
    groups = weight.view(-1, 4)
    best = (groups.abs() @ PATTERNS.t()).argmax(dim=1)
    groups.mul_(PATTERNS[best])


def by_kthvalue(weight):
    flat = weight.view(-1)
    magnitudes = flat.abs()
    threshold = magnitudes.kthvalue(flat.numel() // 2).values
    flat.mul_(magnitudes > threshold)


def by_l1_unstructured(weight):
    prune.l1_unstructured(Layer(weight), "weight", 0.5)


def by_global_unstructured(weight):
    unit = weight.numel() // 144
    sizes = [share * unit for share in (1, 1, 1, 1, 4, 4)] * 12
    parts = torch.split(weight.view(-1)[: sum(sizes)], sizes)
    layers = [(Layer(part), "weight") for part in parts]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=0.5)


CASES = [
    ("2:4 of rows", "reshape + topk", two_of_four_by_topk),
    ("2:4 of rows", "argmax over 6 patterns (apex)", two_of_four_by_patterns),
    ("0.5 of one layer, with apply", "kthvalue", by_kthvalue),
    ("0.5 of one layer, with apply", "prune.l1_unstructured", by_l1_unstructured),
    ("0.5 of 72 layers, global, with apply", "prune.global_unstructured", by_global_unstructured),
]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--megabytes", type=int, default=180)
    arguments.add_argument("--rounds", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = max(64, options.megabytes * 1_000_000 // 4 // COLUMNS // 8 * 8)
    weights = torch.randn(rows, COLUMNS)
    results = []
    for case, peer, run in CASES:
        seconds = []
        for _ in range(options.rounds):
            weight = weights.clone()
            start = time.process_time()
            with torch.no_grad():
                run(weight)
            seconds.append(time.process_time() - start)
        results.append({"case": case, "peer": peer, "seconds": statistics.median(seconds)})
    print(json.dumps({"torch": torch.__version__, "cases": results}))


main()
