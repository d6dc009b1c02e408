#!/usr/bin/env python3
"""Fine-tunes a pruned ResNet-20 (ONNX, akamaster's names) with its zeros held, in PyTorch eager: what sparsify's trainer is compared with.

    train_torch.py SLIM.onnx CIFAR_FOLDER [--epochs 3] [--steps N] [--threads 1] [--seed 0] [--no-masks] [--no-eval]

SGD 0.9, lr 0.01, cosine per step, batch 128, random crop with 4 black pixels and flip. Prints one JSON object: accuracy, training images/s without the
time for data, seconds for masks.
"""
import argparse
import json
import time

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F

from resnet_torch import ResNet

TRAINING = [f"data_batch_{i}" for i in range(1, 6)]
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def load_weights(model, path):
    graph = onnx.load(path).graph
    stored = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    state = {name: stored[name] for name in model.state_dict() if name in stored}
    missing = [name for name in model.state_dict() if name not in stored and "num_batches" not in name]
    assert not missing, missing
    model.load_state_dict(state, strict=False)


def load_images(folder, names):
    raw = np.concatenate([np.fromfile(f"{folder}/{name}.bin", np.uint8).reshape(-1, 3073) for name in names])
    return torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(raw[:, 0].astype(np.int64))


def normalised(images):
    return (images.float() / 255 - MEAN.view(1, 3, 1, 1)) / STD.view(1, 3, 1, 1)


def augmented(images, generator):
    padded = F.pad(images, (4, 4, 4, 4))
    count = len(images)
    top, left = (torch.randint(0, 9, (count,), generator=generator) for _ in range(2))
    rows = top.view(-1, 1) + torch.arange(32)
    columns = left.view(-1, 1) + torch.arange(32)
    flip = torch.rand(count, generator=generator) < 0.5
    columns[flip] = columns[flip].flip(1)
    index = torch.arange(count).view(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[index, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2).contiguous()


def accuracy(model, images, labels):
    model.eval()
    with torch.inference_mode():
        right = sum((model(normalised(images[i:i + 500])).argmax(1) == labels[i:i + 500]).sum().item() for i in range(0, len(images), 500))
    return 100 * right / len(images)


def fit(model, images, labels, steps, generator, masks=()):
    """SGD 0.9, lr 0.01, cosine per step, batch 128, crop and flip. Seconds of training, of them for masks, and images that they count."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    step, training, masking, seen = 0, 0.0, 0.0, 0
    model.train()
    while step < steps:
        order = torch.randperm(len(images), generator=generator)
        for first in range(0, len(images), 128):
            if step == steps:
                break
            pick = order[first:first + 128]
            batch = normalised(augmented(images[pick], generator))
            start = time.perf_counter()
            optimizer.zero_grad()
            F.cross_entropy(model(batch), labels[pick]).backward()
            at = time.perf_counter()
            for parameter, pruned in masks:
                parameter.grad.masked_fill_(pruned, 0)
            masked = time.perf_counter() - at
            optimizer.step()
            at = time.perf_counter()
            with torch.no_grad():
                for parameter, pruned in masks:
                    parameter.masked_fill_(pruned, 0)
            masked += time.perf_counter() - at
            schedule.step()
            if step >= 5:  # the first steps set up kernels and memory
                training += time.perf_counter() - start
                masking += masked
                seen += len(pick)
            step += 1
    return training, masking, seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("cifar")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-masks", action="store_true")
    parser.add_argument("--no-eval", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    model = ResNet()
    load_weights(model, options.model)
    images, labels = load_images(options.cifar, TRAINING)
    masks = [] if options.no_masks else [(p, p.detach() == 0) for p in model.parameters() if p.dim() > 1]
    steps = options.steps or options.epochs * ((len(images) + 127) // 128)
    training, masking, seen = fit(model, images, labels, steps, generator, masks)
    result = {"torch": torch.__version__, "steps": steps, "images_per_second": seen / training, "mask_share": masking / training}
    if not options.no_eval:
        result["top1"] = accuracy(model, *load_images(options.cifar, ["test_batch"]))
        result["zeros"] = sum(int((p == 0).sum()) for p in model.parameters() if p.dim() > 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
