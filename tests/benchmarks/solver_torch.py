#!/usr/bin/env python3
"""The solvers' mathematics in PyTorch (same problem, same steps) against `sparsify prune`, on ResNet-20 and CIFAR-10.

  tests/benchmarks/solver_torch.py --sparsify build/bin/sparsify --model resnet20-bn.onnx --cifar FOLDER [--images 1024] [--threads 1]
    [--solver gradual gradual_linear least_squares sparsegpt obs] [--repeat 3] [--memory]

`gradual` has its targets in front of Relu (`relu: true`), `gradual_linear` has not (`relu: false`). Prints one JSON line a solver: CPU seconds of both (medians of
runs in turn; a busy machine hardly moves them), their ratio, the mean relative error over the layers of both, which must agree to a few per cent (other
random images), and the seconds on the clock of every layer alone with the ratios' median and least. With --memory nothing is timed: the peak memory of `sparsify` with each solver over that of a run without one, at these images and at twice
as many: the first is a layer's Hessian with what is made of it, a batch, and the activations of all images at one place; the difference is those activations.
Needs torch and onnx, as tests/benchmarks/setup_peers installs them."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper

# What a process has held counts for the processes it starts, so one stands between that has held nothing.
LAUNCHER = """import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
sys.stderr.write(f"{status} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}")"""
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


def gradual(regular, right, dense, density, refresh):
    """`refresh` gives the right side for a target that depends on the weights, or is None."""
    weights, kept = dense, torch.ones_like(dense, dtype=torch.bool)
    for step in range(1, STEPS + 1):
        kept = keep_largest(torch.where(kept, weights.abs(), -1.0), round(dense.numel() * density ** (step / STEPS)))
        weights = solve(regular, right, kept)
        if refresh and step < STEPS:
            right = refresh(weights)
    for _ in range(2 if refresh else 0):
        weights = solve(regular, refresh(weights), kept)
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


def fit(convolution, inputs, stride, sums, skips, density, solver):
    """Solves one layer in place; returns its relative error. `sums` are the dense values in front of Relu, `skips` what the pruned network adds there, or None."""
    weight, scale, shift = convolution
    own_target = solver in ("sparsegpt", "obs")
    dense = (weight if own_target else weight * scale.view(-1, 1, 1, 1)).flatten(1).double()
    outputs, width = dense.shape
    hessian = torch.zeros(width, width, dtype=torch.float64)
    cross = torch.zeros(outputs, width, dtype=torch.float64)
    input_sum, target_sum = torch.zeros(width, dtype=torch.float64), torch.zeros(outputs, dtype=torch.float64)
    energy, count = 0.0, 0
    targets = [total - skip for total, skip in zip(sums, skips)] if skips else sums
    for image, target in zip(inputs, targets):
        x = columns(image, stride)
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
    def refresh(weights):
        nonlocal cross, target_sum, energy
        kernel, shift = weights.float().view_as(weight), (target_sum / count - weights @ mean).float().view(1, -1, 1, 1)
        cross, target_sum, energy = torch.zeros_like(cross), torch.zeros_like(target_sum), 0.0
        for i, image in enumerate(inputs):
            now = F.conv2d(image, kernel, stride=stride, padding=1) + shift
            if skips:
                now = now + skips[i]
            target = torch.where(sums[i] > 0, sums[i], now.clamp(max=0))
            if skips:
                target = target - skips[i]
            cross += torch.nn.grad.conv2d_weight(image, weight.shape, target, stride=stride, padding=1).flatten(1)
            target_sum += target.sum((0, 2, 3))
            energy += target.square().sum((0, 2, 3))
        cross -= torch.outer(target_sum, mean)
        return cross + damping * dense

    if solver.startswith("gradual"):
        weights = gradual(regular, right, dense, density, refresh if solver == "gradual" else None)
    else:
        weights = solve(regular, right, keep_largest(weight.flatten(1).abs(), round(dense.numel() * density)))
    convolution[:] = [weights.float().view_as(weight), torch.ones(outputs), (target_sum / count - weights @ mean).float()]
    total = (energy - target_sum.square() / count).sum()
    return float(1 + ((weights @ hessian * weights).sum() - 2 * (weights * cross).sum()) / total)


def run(network, batches, density, solver):
    """Mean relative error of the layers, and the seconds on the clock of each with the forward passes that lead to it."""
    ends = [time.perf_counter()]

    def fit_timed(*task):
        error = fit(*task)
        ends.append(time.perf_counter())
        return error

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
        errors.append(fit_timed(pruned[first], pruned_x, stride, targets, None, density, solver))
        pruned_y = [F.relu(before(pruned, first, x, stride)) for x in pruned_x]
        sums = [before(network, second, F.relu(target)) + shortcut(x) for target, x in zip(targets, dense_x)]
        skips = [shortcut(x) for x in pruned_x]
        errors.append(fit_timed(pruned[second], pruned_y, 1, sums, skips, density, solver))
        dense_x = [F.relu(total) for total in sums]
        pruned_x = [F.relu(before(pruned, second, y) + skip) for y, skip in zip(pruned_y, skips)]
    return sum(errors) / len(errors), [end - start for start, end in zip(ends, ends[1:])]


def prune(arguments, solver, images, criterion="magnitude"):
    """The report, CPU seconds and peak memory in MiB of one run."""
    options = {"gradual": {"name": "gradual", "relu": True}, "gradual_linear": {"name": "gradual", "relu": False}}.get(solver, {"name": solver})
    with tempfile.TemporaryDirectory() as folder:
        calibration = {"format": "cifar10", "path": str(arguments.cifar.resolve()), "split": "train", "samples": images, "scale": 255,
                       "mean": [.485, .456, .406], "std": [.229, .224, .225], "augment": [{"random_crop": 4}]}
        recipe = {"model": str(arguments.model.resolve()), "output": f"{folder}/slim.onnx", "threads": arguments.threads, "repair": "none",
                  "data": {"calibration": calibration},
                  "prune": [{"sparsity": arguments.sparsity, "criterion": criterion, "allocation": "uniform", "solver": options}]}
        pathlib.Path(folder, "recipe.json").write_text(json.dumps(recipe))
        with open(f"{folder}/report.json", "w") as report:
            command = [arguments.sparsify.resolve(), "prune", "--config", f"{folder}/recipe.json", "--json", "--quiet"]
            ended = subprocess.run([sys.executable, "-c", LAUNCHER, *command], stdout=report, stderr=subprocess.PIPE, text=True, check=True)
        status, seconds, peak = ended.stderr.splitlines()[-1].split()
        if status != "0":
            raise SystemExit(f"sparsify failed: {ended.stderr}")
        return json.loads(pathlib.Path(folder, "report.json").read_text()), float(seconds), int(peak) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sparsify", type=pathlib.Path, default=pathlib.Path("build/bin/sparsify"))
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--cifar", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--solver", nargs="+", default=["gradual", "gradual_linear", "least_squares", "sparsegpt", "obs"])
    parser.add_argument("--repeat", type=int, default=3, help="both are run so many times in turn; medians count")
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead, at --images and twice as many")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    # What a run costs without a solver: start, LibTorch (which Wanda loads), ranking, writing, checking.
    _, start_up, empty = prune(arguments, "none", 1, criterion="wanda")
    if arguments.memory:
        for solver in arguments.solver:
            peaks = [round(prune(arguments, solver, count)[2] - empty) for count in (arguments.images, 2 * arguments.images)]
            print(json.dumps({"solver": solver, "images": arguments.images, "peak_mib": peaks[0], "peak_mib_twice_the_images": peaks[1]}), flush=True)
        return
    network, batches = read_network(arguments.model), images(arguments.cifar, arguments.images, 0)
    for solver in arguments.solver:
        torch_seconds, own_seconds, torch_layers, own_layers = [], [], [], []
        for _ in range(arguments.repeat):
            start = time.process_time()
            torch_error, layers = run(network, batches, 1 - arguments.sparsity, solver)
            torch_layers.append(layers)
            torch_seconds.append(time.process_time() - start)
            report, seconds, _ = prune(arguments, solver, arguments.images)
            own_seconds.append(seconds - start_up)
            own_layers.append([layer["solve_s"] for layer in report["layers"] if layer.get("error") is not None])
        per_layer = [[statistics.median(times) for times in zip(*runs)] for runs in (torch_layers, own_layers)]
        ratios = sorted(theirs / ours for theirs, ours in zip(*per_layer))
        errors = [layer["error"] for layer in report["layers"] if layer.get("error") is not None]
        line = {"solver": solver, "images": arguments.images, "threads": arguments.threads, "torch_s": round(statistics.median(torch_seconds), 2),
                "sparsify_s": round(statistics.median(own_seconds), 2), "ratio": round(statistics.median(torch_seconds) / statistics.median(own_seconds), 2),
                "torch_error": round(torch_error, 5), "sparsify_error": round(sum(errors) / len(errors), 5),
                "layer_ratio_least": round(ratios[0], 2), "layer_ratio_median": round(statistics.median(ratios), 2),
                "torch_layers_s": [round(value, 3) for value in per_layer[0]], "sparsify_layers_s": [round(value, 3) for value in per_layer[1]]}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
