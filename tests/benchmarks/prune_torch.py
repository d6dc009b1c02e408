#!/usr/bin/env python3
"""Channels of ResNet-56 cut to a share of the MACs: Torch-Pruning's importances against `sparsify prune`, raw; with --epochs Torch-Pruning's cut
after a fine-tuning on the labels instead (SGD 0.9, lr 0.01, cosine, batch 128, crop and flip, all 50,000 training images).
Last, what `sparsify` does with it when training images (no labels) are named: configs/results/resnet56_channels.yaml.

    tests/benchmarks/prune_torch.py --sparsify build/bin/sparsify --model resnet56-bn.onnx --cifar FOLDER [--macs 0.5 0.39] [--images 10000] [--importance L2] [--epochs 1]

Same weights, same test images, same count of MACs (convolutions and the last layer, on the shapes of what is left). Torch-Pruning gets
the channels inside the blocks only, because it cuts option-A shortcuts wrongly; `sparsify` is shown with those and with all channels,
and with group norms divided by a group's mean (`normalise: mean`) instead of its largest. Torch-Pruning's group norm is run with `normalizer="max"`.
Prints one row of a table each. Needs torch, onnx and torch-pruning, as tests/benchmarks/setup_peers installs them."""
import argparse
import copy
import json
import pathlib
import subprocess
import tempfile
import time

import numpy
import onnx
import torch
from onnx import numpy_helper

import train_torch
from resnet_torch import ResNet

MEAN, STD = (.485, .456, .406), (.229, .224, .225)


def network(path):
    tensors = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in onnx.load(path).graph.initializer}
    model = ResNet(blocks=9)
    state = model.state_dict()
    missing = [name for name in state if name not in tensors and "num_batches" not in name]
    assert not missing, f"the graph has no {missing[:3]}"
    model.load_state_dict({name: tensors.get(name, value) for name, value in state.items()})
    return model.eval()


def test_images(folder, count):
    raw = numpy.fromfile(pathlib.Path(folder) / "test_batch.bin", dtype=numpy.uint8).reshape(-1, 3073)[:count]
    images = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
    return (images - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1), torch.from_numpy(raw[:, 0].astype(numpy.int64))


def top1(model, images, labels):
    with torch.inference_mode():
        hits = sum(int((model(x).argmax(1) == y).sum()) for x, y in zip(images.split(250), labels.split(250)))
    return 100 * hits / len(labels)


def macs_of(model):
    counted = []

    def count(layer, inputs, output):
        places = output[0, 0].numel() if output.dim() == 4 else 1
        counted.append(layer.weight.numel() * places)

    hooks = [layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))]
    with torch.inference_mode():
        model(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return sum(counted)


def torch_pruning(model, importance, share):
    """Removes in small steps until the MACs are at most the share."""
    import torch_pruning as tp
    model = copy.deepcopy(model)
    ignored = [model.conv1, model.linear] + [block.conv2 for stage in (model.layer1, model.layer2, model.layer3) for block in stage]
    kinds = {"L2": lambda: tp.importance.MagnitudeImportance(p=2), "group norm": lambda: tp.importance.GroupMagnitudeImportance(p=2, normalizer="max")}
    pruner = tp.pruner.BasePruner(model, torch.zeros(1, 3, 32, 32), importance=kinds[importance](), global_pruning=True, pruning_ratio=0.9, iterative_steps=100,
                                  ignored_layers=ignored)
    whole = macs_of(model)
    while macs_of(model) > share * whole:
        pruner.step()
    return model


RECIPE = pathlib.Path(__file__).resolve().parents[2] / "configs/results/resnet56_channels.yaml"


def sparsify(arguments, extra, share, folder):
    output = pathlib.Path(folder) / "cut.onnx"
    data = f"cifar10:{arguments.cifar},split=test,scale=255,limit={arguments.images},mean={list(MEAN)},std={list(STD)}"
    start = time.monotonic()
    run = subprocess.run([arguments.sparsify, "prune", arguments.model, "-o", output, "--overwrite", *extra, "--set", f"prune.0.sparsity={{macs: {share}}}",
                          "--set", "threads=1", "--input", "input:1,3,32,32", "--json"], capture_output=True, text=True, check=True)
    seconds = time.monotonic() - start
    report = json.loads(run.stdout)
    run = subprocess.run([arguments.sparsify, "eval", output, "--data", data, "--json"], capture_output=True, text=True, check=True)
    return report["model"]["macs"] / report["result"]["macs"], report["result"]["params"], json.loads(run.stdout)["metric"]["value"], seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--sparsify", "--model", "--cifar"):
        parser.add_argument(name, required=True)
    parser.add_argument("--macs", type=float, nargs="+", default=[0.5])
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--importance", nargs="+", default=["L2", "group norm"], choices=["L2", "group norm"])
    parser.add_argument("--epochs", type=int, default=0, help="of fine-tuning; sparsify is then not run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dense = network(arguments.model)
    images, labels = test_images(arguments.cifar, arguments.images)
    whole = macs_of(dense)
    print("| what | MACs | params | top-1 | s |\n|---|---|---|---|---|")
    print(f"| dense | {whole / 1e6:.1f} M | {sum(p.numel() for p in dense.parameters()):,} | {top1(dense, images, labels):.2f} | |", flush=True)
    inner = ["--set", "prune.0.select.include=[/layer*conv1*]"]
    channel, by_mean = ["--pattern", "channel"], ["--pattern", "{channel: {normalise: mean}}"]
    ours = {"sparsify magnitude, inside blocks": [*channel, *inner], "sparsify magnitude / mean, inside blocks": [*by_mean, *inner],
            "sparsify magnitude, all channels": channel, "sparsify magnitude / mean, all channels": by_mean,
            "sparsify reconstruction, repaired, inside blocks": ["--config", RECIPE, "--set", f"data.calibration.path={pathlib.Path(arguments.cifar).resolve()}"]}
    with tempfile.TemporaryDirectory() as folder:
        for share in arguments.macs:
            for importance in arguments.importance:
                start = time.monotonic()
                model = torch_pruning(dense, importance, share)
                if arguments.epochs:
                    training = train_torch.load_images(arguments.cifar, train_torch.TRAINING)
                    train_torch.fit(model, *training, arguments.epochs * ((len(training[0]) + 127) // 128), torch.Generator().manual_seed(0))
                    model.eval()
                seconds = time.monotonic() - start
                print(f"| Torch-Pruning {importance}, inside blocks | {whole / macs_of(model):.3f}x | {sum(p.numel() for p in model.parameters()):,} | "
                      f"{top1(model, images, labels):.2f} | {seconds:.1f} |", flush=True)
            for name, extra in ours.items() if not arguments.epochs else ():
                ratio, params, accuracy, seconds = sparsify(arguments, extra, share, folder)
                print(f"| {name} | {ratio:.3f}x | {params:,} | {accuracy:.2f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
