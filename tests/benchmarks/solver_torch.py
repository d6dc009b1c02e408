#!/usr/bin/env python3
"""The solvers' mathematics in PyTorch (same problem, same steps) against `sparsify prune`, on ResNet-20 and CIFAR-10.

  tests/benchmarks/solver_torch.py --sparsify build/bin/sparsify --model resnet20-bn.onnx --cifar FOLDER [--images 1024] [--threads 1]
    [--solver gradual least_squares sparsegpt obs] [--repeat 1]

Prints one JSON line a solver: seconds of both, and the mean relative error over the layers of both, which must agree to a few per cent
(other random images). Needs torch and onnx, as tests/benchmarks/setup_peers installs them."""
import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import numpy
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper

STEPS = 12
DAMPING = 0.01


def read_network(path):
    """Convolutions with their BatchNormalization as (weight, scale, shift), in order; the graph is the ResNet of He et al. with option A."""
    model = onnx.load(path)
    tensors = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer}
    convolutions = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            weight = tensors[node.input[1]]
        if node.op_type == "BatchNormalization":
            gamma, beta, mean, variance = (tensors[name] for name in node.input[1:5])
            scale = gamma / torch.sqrt(variance + 1e-5)
            convolutions.append([weight.clone(), scale, beta - mean * scale])
    return convolutions


def images(folder, count, seed):
    raw = numpy.fromfile(pathlib.Path(folder) / "data_batch_1.bin", dtype=numpy.uint8).reshape(-1, 3073)[:, 1:].reshape(-1, 3, 32, 32)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.from_numpy(raw.copy())[torch.randperm(len(raw), generator=generator)[:count]]
    padded = F.pad(chosen, (4, 4, 4, 4))
    cut = torch.empty_like(chosen)
    for i in range(count):
        top, left = torch.randint(0, 9, (2,), generator=generator).tolist()
        cut[i] = padded[i, :, top:top + 32, left:left + 32]
    mean = torch.tensor([.485, .456, .406]).view(1, 3, 1, 1)
    std = torch.tensor([.229, .224, .225]).view(1, 3, 1, 1)
    return list(((cut.float() / 255 - mean) / std).split(128))


def columns(x, stride):
    unfolded = F.unfold(x, 3, padding=1, stride=stride)
    return unfolded.permute(1, 0, 2).reshape(unfolded.shape[1], -1)


def solve(hessian, cross, kept):
    weights = torch.zeros_like(cross)
    for row in range(len(cross)):
        support = kept[row].nonzero().squeeze(1)
        factor = torch.linalg.cholesky(hessian[support][:, support])
        weights[row, support] = torch.cholesky_solve(cross[row, support].unsqueeze(1), factor).squeeze(1)
    return weights


def keep_largest(scores, count):
    kept = torch.zeros(scores.numel(), dtype=torch.bool)
    kept[scores.flatten().argsort(descending=True, stable=True)[:count]] = True
    return kept.view_as(scores)


def gradual(regular, right, dense, density):
    weights, kept = dense, torch.ones_like(dense, dtype=torch.bool)
    for step in range(1, STEPS + 1):
        kept = keep_largest(torch.where(kept, weights.abs(), -1.0), round(dense.numel() * density ** (step / STEPS)))
        weights = solve(regular, right, kept)
    return weights


def sparsegpt(regular, weights, density, positions, block=128):
    """Algorithm 1 of arXiv:2301.00774 as in the authors' code, but with columns in the order (position, channel)."""
    columns = weights.shape[1]
    order = torch.arange(columns).view(-1, positions).T.reshape(-1)
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(regular[order][:, order])), upper=True)
    w = weights[:, order].clone()
    for start in range(0, columns, block):
        stop = min(start + block, columns)
        own, factor = w[:, start:stop].clone(), upper[start:stop, start:stop]
        pruned = ~keep_largest((own / factor.diag()).square(), round(own.numel() * density))
        errors, out = torch.zeros_like(own), torch.zeros_like(own)
        for j in range(stop - start):
            column = own[:, j]
            out[:, j] = torch.where(pruned[:, j], 0.0, column)
            error = (column - out[:, j]) / factor[j, j]
            own[:, j:] -= torch.outer(error, factor[j, j:])
            errors[:, j] = error
        w[:, start:stop] = out
        w[:, stop:] -= errors @ upper[start:stop, stop:]
    result = torch.zeros_like(weights)
    result[:, order] = w
    return result


def obs(regular, cross, weights, density, scale):
    """ExactOBS of arXiv:2208.11580: all rows at once, each removes its cheapest weight in every step; then the cheapest over all rows."""
    rows, columns = weights.shape
    inverse = torch.linalg.inv(regular).repeat(rows, 1, 1)
    w, index = weights.clone(), torch.arange(rows)
    alive = torch.ones_like(w, dtype=torch.bool)
    costs, order = torch.zeros_like(w), torch.zeros(rows, columns, dtype=torch.long)
    for step in range(columns):
        diagonal = inverse.diagonal(dim1=1, dim2=2)
        cost = torch.where(alive, w.square() / diagonal, torch.inf)
        least, best = cost.min(1)
        costs[:, step], order[:, step] = least, best
        pivot_row = inverse[index, best]
        pivot = pivot_row[index, best]
        w -= pivot_row * (w[index, best] / pivot).unsqueeze(1)
        inverse -= pivot_row.unsqueeze(2) * (pivot_row / pivot.unsqueeze(1)).unsqueeze(1)
        inverse[index, best, best] = 1  # is never looked at again
        alive[index, best] = False
    when = (costs * scale.view(-1, 1).square()).cummax(1).values  # cheapest next removal over all rows
    removed = when.flatten().argsort(stable=True)[:weights.numel() - round(weights.numel() * density)]
    kept = torch.ones_like(alive)
    kept[removed // columns, order.flatten()[removed]] = False
    return solve(regular, cross, kept)


def fit(convolution, inputs, stride, targets, density, solver):
    """Solves one layer in place; returns its relative error."""
    weight, scale, shift = convolution
    own_target = solver in ("sparsegpt", "obs")
    dense = (weight if own_target else weight * scale.view(-1, 1, 1, 1)).flatten(1).double()
    outputs, width = dense.shape
    hessian = torch.zeros(width, width, dtype=torch.float64)
    cross = torch.zeros(outputs, width, dtype=torch.float64)
    input_sum, target_sum = torch.zeros(width, dtype=torch.float64), torch.zeros(outputs, dtype=torch.float64)
    energy, count = 0.0, 0
    for x, target in zip(inputs, targets):
        x = columns(x, stride)
        hessian += x @ x.T
        if own_target:
            continue
        rows = target.permute(1, 0, 2, 3).reshape(outputs, -1)
        cross += rows @ x.T
        input_sum += x.sum(1)
        target_sum += rows.sum(1)
        energy += rows.double().square().sum(1)
        count += x.shape[1]
    if own_target:
        regular = hessian + DAMPING * hessian.diag().mean() * torch.eye(width, dtype=torch.float64)
        cross = dense @ hessian
        if solver == "sparsegpt":
            weights = sparsegpt(regular, dense, density, weight.shape[2] * weight.shape[3])
        else:
            weights = obs(regular, dense @ regular, dense, density, scale.double())
        convolution[0] = weights.float().view_as(weight)
        squares = scale.double().square().unsqueeze(1)
        return float(1 + (squares * ((weights @ hessian) * weights - 2 * weights * cross)).sum() / (squares * cross * dense).sum())
    mean = input_sum / count
    hessian -= count * torch.outer(mean, mean)
    cross -= torch.outer(target_sum, mean)
    damping = DAMPING * hessian.diag().mean()
    regular = hessian + damping * torch.eye(width, dtype=torch.float64)
    right = cross + damping * dense
    if solver == "gradual":
        weights = gradual(regular, right, dense, density)
    else:
        weights = solve(regular, right, keep_largest(weight.flatten(1).abs(), round(dense.numel() * density)))
    convolution[:] = [weights.float().view_as(weight), torch.ones(outputs), (target_sum / count - weights @ mean).float()]
    total = (energy - target_sum.square() / count).sum()
    return float(1 + ((weights @ hessian * weights).sum() - 2 * (weights * cross).sum()) / total)


def run(network, batches, density, solver):
    pruned = [list(convolution) for convolution in network]
    before = lambda net, i, x, stride=1: F.conv2d(x, net[i][0] * net[i][1].view(-1, 1, 1, 1), net[i][2], stride=stride, padding=1)
    dense_x = [F.relu(before(network, 0, x)) for x in batches]
    pruned_x = list(dense_x)
    blocks, errors = (len(network) - 1) // 2, []
    for block in range(blocks):
        stride = 2 if block in (blocks // 3, 2 * blocks // 3) else 1
        shortcut = lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, x.shape[1] // 2, x.shape[1] // 2)) if stride == 2 else x
        first, second = 1 + 2 * block, 2 + 2 * block
        targets = [before(network, first, x, stride) for x in dense_x]
        errors.append(fit(pruned[first], pruned_x, stride, targets, density, solver))
        pruned_y = [F.relu(before(pruned, first, x, stride)) for x in pruned_x]
        sums = [before(network, second, F.relu(target)) + shortcut(x) for target, x in zip(targets, dense_x)]
        skips = [shortcut(x) for x in pruned_x]
        errors.append(fit(pruned[second], pruned_y, 1, [total - skip for total, skip in zip(sums, skips)], density, solver))
        dense_x = [F.relu(total) for total in sums]
        pruned_x = [F.relu(before(pruned, second, y) + skip) for y, skip in zip(pruned_y, skips)]
    return sum(errors) / len(errors)


def prune(arguments, solver):
    options = {"gradual": {"steps": STEPS, "relu": False}}.get(solver, {})
    with tempfile.TemporaryDirectory() as folder:
        calibration = {"format": "cifar10", "path": str(arguments.cifar.resolve()), "split": "train", "samples": arguments.images, "scale": 255,
                       "mean": [.485, .456, .406], "std": [.229, .224, .225], "augment": [{"random_crop": 4}]}
        recipe = {"model": str(arguments.model.resolve()), "output": f"{folder}/slim.onnx", "threads": arguments.threads,
                  "data": {"calibration": calibration},
                  "prune": [{"sparsity": arguments.sparsity, "allocation": "uniform", "solver": {"name": solver, **options}}]}
        pathlib.Path(folder, "recipe.json").write_text(json.dumps(recipe))
        done = subprocess.run([arguments.sparsify, "prune", "--config", f"{folder}/recipe.json", "--json", "--quiet"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sparsify", type=pathlib.Path, default=pathlib.Path("build/bin/sparsify"))
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--cifar", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--solver", nargs="+", default=["gradual", "least_squares", "sparsegpt", "obs"])
    parser.add_argument("--repeat", type=int, default=1, help="both are run so many times in turn; the least seconds count")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    network, batches = read_network(arguments.model), images(arguments.cifar, arguments.images, 0)
    for solver in arguments.solver:
        torch_seconds, own_seconds = [], []
        for _ in range(arguments.repeat):
            start = time.perf_counter()
            torch_error = run(network, batches, 1 - arguments.sparsity, solver)
            torch_seconds.append(time.perf_counter() - start)
            report = prune(arguments, solver)
            own_seconds.append(report["timings"]["correct_s"])
        errors = [layer["error"] for layer in report["layers"] if layer.get("error") is not None]
        print(json.dumps({"solver": solver, "images": arguments.images, "threads": arguments.threads, "torch_s": round(min(torch_seconds), 2),
                          "sparsify_s": round(min(own_seconds), 2), "ratio": round(min(torch_seconds) / min(own_seconds), 2),
                          "solve_s": round(sum(layer["solve_s"] or 0 for layer in report["layers"]), 2),
                          "torch_error": round(torch_error, 5), "sparsify_error": round(sum(errors) / len(errors), 5)}), flush=True)


if __name__ == "__main__":
    main()
