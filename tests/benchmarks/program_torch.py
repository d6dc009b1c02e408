"""The networks of tests/benchmarks/run_program as PyTorch modules, or in ONNX Runtime: one measurement, printed as JSON.

    program_torch.py resnet20|resnet56|vit [--runtime torch|onnxruntime] [--model FILE] --batch N --mode forward|train [--precision bf16]

bf16 is PyTorch's autocast with channels last."""
import argparse
import json
import resource
import statistics
import time


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(rounds, action):
    wall, cpu = [], []
    for _ in range(2):
        action()
    for _ in range(rounds):
        start, processor = time.perf_counter(), time.process_time()
        action()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - processor)
    return {"wall_s": statistics.median(wall), "cpu_s": statistics.median(cpu)}


def networks():
    import torch
    from torch import nn
    from torch.nn import functional as F

    from resnet_torch import ResNet

    class Attention(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.qkv, self.proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

        def forward(self, x):
            batch, tokens, width = x.shape
            q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
            return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width))

    class Layer(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
            self.attn = Attention(width, heads)
            self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            x = x + self.attn(self.norm1(x))
            return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))

    class Vit(nn.Module):
        def __init__(self, width=64, heads=4, depth=3):
            super().__init__()
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
            self.pos_embed = nn.Parameter(torch.randn(1, 65, width) * 0.02)
            self.patches = nn.Conv2d(3, width, 8, 8)
            self.layers = nn.Sequential(*[Layer(width, heads) for _ in range(depth)])
            self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 10)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
            return self.head(self.norm(self.layers(x))[:, 0])

    return {"resnet20": lambda: ResNet(3), "resnet56": lambda: ResNet(9), "vit": Vit}


def with_torch(options, shape):
    import torch
    from torch.nn import functional as F
    torch.set_num_threads(options.threads)
    x = torch.randn(1)
    (x + x).sum()
    before = peak_mib()
    half = options.precision == "bf16"
    order = torch.channels_last if half else torch.contiguous_format
    network = networks()[options.network]().to(memory_format=order)
    x = torch.randn(*shape).to(memory_format=order)
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=half)
    if options.mode == "forward":
        network.eval()

        def action():
            with torch.inference_mode(), autocast():
                network(x)
    else:
        network.train()
        labels = torch.randint(10, (options.batch,))
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)

        def action():
            optimizer.zero_grad()
            with autocast():
                y = network(x)
            F.cross_entropy(y.float(), labels).backward()
            optimizer.step()
    return {**timed(options.rounds, action), "memory_mib": peak_mib() - before}


def with_onnxruntime(options, shape):
    import numpy
    import onnxruntime
    before = peak_mib()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(options.model, settings, providers=["CPUExecutionProvider"])
    x = numpy.random.randn(*shape).astype(numpy.float32)
    name = session.get_inputs()[0].name
    return {**timed(options.rounds, lambda: session.run(None, {name: x})), "memory_mib": peak_mib() - before}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("network", choices=["resnet20", "resnet56", "vit"])
    arguments.add_argument("--runtime", choices=["torch", "onnxruntime"], default="torch")
    arguments.add_argument("--model")
    arguments.add_argument("--batch", type=int, required=True)
    arguments.add_argument("--mode", choices=["forward", "train"], default="forward")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    options = arguments.parse_args()
    size = 64 if options.network == "vit" else 32
    shape = (options.batch, 3, size, size)
    print(json.dumps((with_torch if options.runtime == "torch" else with_onnxruntime)(options, shape)))


main()
