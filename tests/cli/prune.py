"""prune.py PROGRAM [NAME]: what the program writes, judged by an independent sort of the weights and byte by byte."""
import csv
import hashlib
import io
import json
import math
import os
import struct

import tiny_onnx as onnx
from harness import DIGITS, SOURCE, case, check, check_error, equal, finish, listing, read, shared, sparsify, succeeds, write

ALL = ["--set", "prune.0.select.first_last=true"]
EXACT = ["--set", "prune.0.min_density=0"]
VALUES = [((i * 37) % 64 - 31.5) / 16 for i in range(64)]  # distinct magnitudes in pairs; exact in every type
DIGITS_PRUNED = [f"{layer}.weight" for layer in ("block1.conv1", "block1.conv2", "down", "block2.conv1", "block2.conv2", "block3.conv1",
                                                 "block3.conv2")]


def rounded(x):
    """llround for x >= 0."""
    return math.floor(x + 0.5)


def prune_order(weights):
    """(tensor, flat index) from the first to be pruned to the last: small first, among equals the later one."""
    flat = [abs(v) for values in weights for v in values]
    return sorted(range(len(flat) - 1, -1, -1), key=flat.__getitem__)


def expected_masks(names, before, sparsity, allocation, orders):
    """name -> bytes of 0 and 1 (kept). `orders` keeps sorts between calls."""
    def mask_of(some):
        key = tuple(some)
        if key not in orders:
            orders[key] = prune_order([before[name].values() for name in some])
        order = orders[key]
        mask = bytearray(b"\1") * len(order)
        for index in order[: rounded(sparsity * len(order))]:
            mask[index] = 0
        return mask

    if allocation == "uniform":
        return {name: bytes(mask_of([name])) for name in names}
    joint, masks, at = mask_of(names), {}, 0
    for name in names:
        size = math.prod(before[name].shape)
        masks[name] = bytes(joint[at:at + size])
        at += size
    return masks


def read_masks(path):
    raw = read(path)
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    equal(header.pop("__metadata__")["keep"], "1", "polarity of the masks")
    masks = {}
    for name, entry in header.items():
        equal(entry["dtype"], "BOOL", "type of a mask")
        begin, end = entry["data_offsets"]
        masks[name] = (entry["shape"], raw[8 + length + begin:8 + length + end])
    return masks


def masked(weight, mask):
    """The bytes of `weight` with +0.0 where the mask is 0."""
    width = onnx.WIDTH[weight.kind]
    out = bytearray(weight.bytes)
    for i, kept in enumerate(mask):
        if not kept:
            out[i * width:(i + 1) * width] = bytes(width)
    return bytes(out)


def check_result(source, output, masks):
    """`output` is `source` with the masks applied, and nothing else differs; the evidence tells the same masks."""
    before, after = onnx.weights_of(source), onnx.weights_of(output)
    equal(list(after), list(before), "initializers")
    for name, weight in before.items():
        wanted = masked(weight, masks[name]) if name in masks else weight.bytes
        check(after[name].bytes == wanted, f"bytes of {name}: {sum(a != b for a, b in zip(after[name].bytes, wanted))} differ")
        equal((after[name].storage, after[name].kind, after[name].shape), (weight.storage, weight.kind, weight.shape), f"storage of {name}")
    told = read_masks(output.replace(".onnx", ".sparsify") + "/masks.safetensors")
    equal(sorted(told), sorted(masks), "names of the masks")
    for name, mask in masks.items():
        check(told[name] == (before[name].shape, mask), f"the mask file differs in {name}")


def pruned(folder, source, *flags, name="out.onnx"):
    output = os.path.join(folder, name)
    run = succeeds("prune", source, "-o", output, *flags)
    return output, run


def report_of(output):
    return json.loads(read(output.replace(".onnx", ".sparsify") + "/report.json"))


def tiny(folder, kind=onnx.FLOAT, storage="raw", values=VALUES, name="tiny.onnx"):
    content, outside = onnx.chain([([8, 8], values), ([8, 8], values[::-1]), ([8, 8], values)], kind, storage)
    if storage == "external":
        write(os.path.join(folder, "w.bin"), outside)
    return write(os.path.join(folder, name), content)


def exact_counts():
    before, orders = onnx.weights_of(DIGITS), {}
    for allocation in ("global", "uniform"):
        for sparsity in (0.5, 0.7, 0.9):
            def run(folder):
                output, _ = pruned(folder, DIGITS, "--sparsity", sparsity, "--allocation", allocation, *EXACT)
                check_result(DIGITS, output, expected_masks(DIGITS_PRUNED, before, sparsity, allocation, orders))
                total = sum(math.prod(before[n].shape) for n in DIGITS_PRUNED)
                result = report_of(output)["result"]
                counts = [math.prod(before[n].shape) for n in DIGITS_PRUNED] if allocation == "uniform" else [total]
                equal((result["prunable"], result["pruned"]), (total, sum(rounded(sparsity * c) for c in counts)), "counts in the report")
            case(f"digits, {allocation} {sparsity}: the weights an independent sort takes", run)

    def ties(folder):
        values = [0.5, -0.5, 0.0, -0.0, 1.0, -1.0, 0.5, -0.0] * 8
        source = tiny(folder, values=values)
        before, names = onnx.weights_of(source), ["w0", "w1", "w2"]
        for allocation in ("global", "uniform"):
            for sparsity in (0.2, 0.5, 0.9):
                output, _ = pruned(folder, source, "--sparsity", sparsity, "--allocation", allocation, *ALL, *EXACT, "--overwrite")
                check_result(source, output, expected_masks(names, before, sparsity, allocation, {}))
    case("among equal weights the lower index stays, pruned -0.0 becomes +0.0, kept -0.0 stays", ties)

    def halves(folder):
        source = tiny(folder)
        for sparsity in (0.0, 1 / 128, 0.0078, 0.4999, 0.995):
            output, _ = pruned(folder, source, "--sparsity", sparsity, *ALL, *EXACT, "--overwrite")
            check_result(source, output, expected_masks(["w0", "w1", "w2"], onnx.weights_of(source), sparsity, "global", {}))
    case("counts are rounded half up, from none to nearly all", halves)


def patterns():
    def groups_of(weight, matmul):
        """Lists of flat indices, each a run along the input axis of one output."""
        if matmul:  # [in, out]
            rows, columns = weight.shape
            return [[i * columns + o for i in range(rows)] for o in range(columns)]
        out, channels, *kernel = weight.shape
        area = math.prod(kernel)
        return [[(o * channels + c) * area + k for c in range(channels)] for o in range(out) for k in range(area)]

    def n_of_m(n, m, weight, matmul):
        values, mask = weight.values(), bytearray(math.prod(weight.shape))
        for line in groups_of(weight, matmul):
            for start in range(0, len(line), m):
                for index in sorted(line[start:start + m], key=lambda i: (-abs(values[i]), i))[:n]:
                    mask[index] = 1
        return bytes(mask)

    for n, m in ((2, 4), (1, 4), (4, 8)):
        def run(folder):
            output, _ = pruned(folder, DIGITS, "--pattern", f"{n}:{m}")
            before = onnx.weights_of(DIGITS)
            check_result(DIGITS, output, {name: n_of_m(n, m, before[name], False) for name in DIGITS_PRUNED})
            equal(report_of(output)["result"]["sparsity"], 1 - n / m, "sparsity")
            source = tiny(folder)
            output, _ = pruned(folder, source, "--pattern", f"{n}:{m}", *ALL, name="mm.onnx")
            before = onnx.weights_of(source)
            check_result(source, output, {name: n_of_m(n, m, before[name], True) for name in before})
            succeeds("verify", output, "--pattern", f"{n}:{m}")
        case(f"{n}:{m} keeps the largest of every group along the input axis, for Conv and MatMul", run)

    def blocks(folder):
        output, _ = pruned(folder, DIGITS, "--pattern", "{block: [4, 1]}", "--sparsity", 0.75, *EXACT)
        before, sums = onnx.weights_of(DIGITS), []
        for t, name in enumerate(DIGITS_PRUNED):
            values, fan_in = before[name].values(), math.prod(before[name].shape[1:])
            for row in range(0, before[name].shape[0], 4):
                for column in range(fan_in):
                    members = [(row + r) * fan_in + column for r in range(4)]
                    sums.append((struct.unpack("<f", struct.pack("<f", sum(abs(values[i]) for i in members)))[0], t, members))
        order = sorted(range(len(sums) - 1, -1, -1), key=lambda i: sums[i][0])
        masks = {name: bytearray(b"\1") * math.prod(before[name].shape) for name in DIGITS_PRUNED}
        for index in order[: rounded(0.75 * len(sums))]:
            for member in sums[index][2]:
                masks[DIGITS_PRUNED[sums[index][1]]][member] = 0
        check_result(DIGITS, output, {name: bytes(mask) for name, mask in masks.items()})
    case("4x1 blocks fall by the sum of their weights", blocks)


def storage():
    for kind, word in ((onnx.FLOAT, "float32"), (onnx.FLOAT16, "float16"), (onnx.BFLOAT16, "bfloat16"), (onnx.DOUBLE, "float64")):
        for how in ("raw", "typed", "external"):
            def run(folder):
                source = tiny(folder, kind, how)
                original = read(source)
                os.mkdir(os.path.join(folder, "o"))
                output, _ = pruned(os.path.join(folder, "o"), source, "--sparsity", 0.6, *ALL, *EXACT)
                before = onnx.weights_of(source)
                check_result(source, output, expected_masks(["w0", "w1", "w2"], before, 0.6, "global", {}))
                equal(read(source), original, "the input afterwards")
                if how == "raw":
                    equal(len(read(output)), len(original), "size of the file")
                    spots = bytearray(original)
                    for name, weight in before.items():
                        start, end = weight.span
                        spots[start:end] = onnx.weights_of(output)[name].bytes
                    check(read(output) == bytes(spots), "bytes outside the weights changed")
            case(f"{word} weights in {how} storage", run)


    def quantised(folder):
        scales, integers = [0.5, 0.125, 0.25], [[(i * m) % 101 - 50 for i in range(64)] for m in (37, 29, 43)]
        nodes, tensors = [], []
        for i, at in enumerate(["x", "y0", "y1"]):
            tensors += [onnx.tensor(f"w{i}", [8, 8], integers[i], onnx.INT8), onnx.tensor(f"s{i}", [], [scales[i]])]
            nodes += [onnx.node("DequantizeLinear", [f"w{i}", f"s{i}"], [f"d{i}"], f"real{i}"), onnx.node("MatMul", [at, f"d{i}"], [f"y{i}"], f"fc{i}")]
        source = write(os.path.join(folder, "q.onnx"), onnx.model(nodes, tensors, [onnx.value("x", ["N", 8])], [onnx.value("y2", ["N", 8])]))
        output, _ = pruned(folder, source, "--sparsity", 0.7, *ALL, *EXACT)
        order = prune_order([[v * scale for v in values] for values, scale in zip(integers, scales)])
        mask = bytearray(b"\1") * 192
        for index in order[: rounded(0.7 * 192)]:
            mask[index] = 0
        check_result(source, output, {f"w{i}": bytes(mask[64 * i:64 * i + 64]) for i in range(3)})
    case("int8 weights compete by the value they stand for", quantised)


def evidence():
    def report(folder):
        output, run = pruned(folder, DIGITS, "--sparsity", 0.7, "--json")
        document = json.loads(run.stdout)
        written = report_of(output)
        keys = {
            "": "schema_version tool model result layers gates verification timings warnings",
            "model": "path sha256 params macs",
            "result": "path sha256 params nonzero macs sparsity prunable pruned",
        }
        for source in (document, written):
            equal(source["schema_version"], 1, "schema_version")
            for part, names in keys.items():
                for name in names.split():
                    check(name in (source[part] if part else source), f"no {part}.{name}")
            check("version" in source["tool"] and "total_s" in source["timings"], "tool.version, timings.total_s")
            for layer in source["layers"]:
                for name in "name initializer op shape prunable kept target sparsity macs skipped".split():
                    check(name in layer, f"a layer has no {name}")
            check(source["verification"] and all(c["passed"] for c in source["verification"]), "a check did not pass")
        equal(written["model"]["sha256"], hashlib.sha256(read(DIGITS)).hexdigest(), "sha256 of the input")
        equal(written["result"]["sha256"], hashlib.sha256(read(output)).hexdigest(), "sha256 of the output")
        zeros = sum(v == 0 for w in onnx.weights_of(output).values() if w.kind == onnx.FLOAT for v in w.values())
        equal(written["result"]["params"] - written["result"]["nonzero"], zeros, "zeros")
        rows = [layer for layer in written["layers"] if layer["prunable"]]
        equal([row["initializer"] for row in rows], DIGITS_PRUNED, "pruned layers in order")
        after = onnx.weights_of(output)
        for row in rows:
            equal(row["kept"], sum(v != 0 for v in after[row["initializer"]].values()), f"kept of {row['name']}")
        table = list(csv.DictReader(io.StringIO(read(output.replace(".onnx", ".sparsify") + "/layers.csv").decode())))
        equal(len(table), len(written["layers"]), "rows of layers.csv")
        plan = json.loads(read(output.replace(".onnx", ".sparsify") + "/plan.json"))
        equal([t["initializer"] for t in plan["tensors"]], DIGITS_PRUNED, "tensors of the plan")
    case("the report has the keys of the contract and the figures of the file", report)

    def rerun(folder):
        write(os.path.join(folder, "m.onnx"), read(DIGITS))
        succeeds("prune", "m.onnx", "-o", "out.onnx", "--sparsity", 0.6, "--allocation", "uniform", cwd=folder)
        first = read(os.path.join(folder, "out.onnx"))
        os.mkdir(os.path.join(folder, "elsewhere"))
        succeeds("prune", "--config", "../out.sparsify/recipe.yaml", "--overwrite", cwd=os.path.join(folder, "elsewhere"))
        equal(read(os.path.join(folder, "out.onnx")) == first, True, "the same bytes again")
        equal(listing(os.path.join(folder, "elsewhere")), {}, "files in the other folder")
        succeeds("prune", "--config", "../out.sparsify/recipe.yaml", "-o", "again.onnx", cwd=os.path.join(folder, "elsewhere"))
        equal(read(os.path.join(folder, "elsewhere", "again.onnx")) == first, True, "the same bytes in another folder")
    case("the recipe beside the result runs again from another folder", rerun)

    def plan(folder):
        source = tiny(folder)
        output, _ = pruned(folder, source, "--sparsity", 0.5, *ALL)
        masks = {name: mask for name, (_, mask) in read_masks(output.replace(".onnx", ".sparsify") + "/masks.safetensors").items()}
        other = tiny(folder, values=[v + 3 for v in VALUES], name="other.onnx")
        replayed, _ = pruned(folder, other, "--plan", output.replace(".onnx", ".sparsify") + "/plan.json", name="replayed.onnx")
        check_result(other, replayed, masks)
        check_error(sparsify("prune", other, "-o", "x.onnx", "--plan", output.replace(".onnx", ".sparsify") + "/plan.json", "--set", "repair=least_squares", cwd=folder),
                    2, what="repair: least_squares is for what a cut leaves", where="repair", fix="statistics")
    case("a plan gives another checkpoint the same masks", plan)

    def seeds(folder):
        write(os.path.join(folder, "m.onnx"), read(DIGITS))
        flags = ["prune", "m.onnx", "--criterion", "random", "--sparsity", 0.5]
        for name, seed, threads in (("a", 1, 1), ("b", 1, 4), ("c", 2, 1)):
            succeeds(*flags, "-o", f"{name}.onnx", "--seed", seed, "--threads", threads, cwd=folder)
        a, b, c = (read(os.path.join(folder, f"{name}.onnx")) for name in "abc")
        check(a == b, "the same seed gave other bytes")
        check(a != c, "another seed gave the same bytes")
    case("random scores depend on the seed and nothing else", seeds)


def command_line():
    def dry_run(folder):
        run = succeeds("prune", DIGITS, "-o", "out.onnx", "--sparsity", 0.7, "--dry-run", "--json", cwd=folder)
        equal(listing(folder), {}, "files afterwards")
        dry = json.loads(run.stdout)
        output, _ = pruned(folder, DIGITS, "--sparsity", 0.7)
        equal([(layer["name"], layer["kept"]) for layer in dry["layers"]],
              [(layer["name"], layer["kept"]) for layer in report_of(output)["layers"]], "layers of the dry run and of the run")
    case("--dry-run writes nothing and tells what the run does", dry_run)

    def config(folder):
        write(os.path.join(folder, "m.onnx"), read(DIGITS))
        flags = ["prune", "m.onnx", "-o", "out.onnx", "--sparsity", 0.65, "--exclude", "down", "--set", "gates.min_sparsity=0.6"]
        printed = succeeds(*flags, "--print-config", cwd=folder).stdout
        write(os.path.join(folder, "r.yaml"), printed)
        equal(succeeds("prune", "--config", "r.yaml", "--print-config", cwd=folder).stdout, printed, "the printed recipe, printed again")
        as_json = succeeds("prune", "--config", "r.yaml", "--print-config", "--json", cwd=folder).stdout
        write(os.path.join(folder, "r.json"), as_json)
        equal(succeeds("prune", "--config", "r.json", "--print-config", cwd=folder).stdout, printed, "the recipe by way of JSON")
        check("out.onnx" not in listing(folder), "--print-config ran")
        succeeds(*flags, cwd=folder)
        first = read(os.path.join(folder, "out.onnx"))
        succeeds("prune", "--config", "r.yaml", "-o", "again.onnx", cwd=folder)
        check(read(os.path.join(folder, "again.onnx")) == first, "the printed recipe gives other bytes")
    case("--print-config gives a recipe that prints and runs the same", config)

    def initial(folder):
        write(os.path.join(folder, "m.onnx"), read(DIGITS))
        succeeds("init", "m.onnx", "-o", "r.yaml", cwd=folder)
        run = succeeds("prune", "--config", "r.yaml", "--json", cwd=folder)
        path = json.loads(run.stdout)["result"]["path"]
        check(os.path.exists(os.path.join(folder, path)), f"{path} was not written")
        refused = sparsify("init", "m.onnx", "-o", "r.yaml", cwd=folder)
        equal(refused.returncode, 2, "exit code where the recipe exists")
    case("the recipe that init writes runs", initial)

    def documents(folder):
        for arguments in (["inspect", DIGITS], ["ops", DIGITS], ["list"], ["schema"], ["explain", "pattern", "n_of_m"],
                          ["prune", DIGITS, "--sparsity", 0.5, "--dry-run"], ["verify", DIGITS, "--pattern", "4:4"]):
            run = sparsify(*arguments, *([] if arguments[0] == "schema" else ["--json"]))
            try:
                document = json.loads(run.stdout) if run.stdout else None
            except ValueError as problem:
                document, run.stderr = None, f"{problem}: {run.stdout[:200]}"
            check(isinstance(document, (dict, list)) or run.returncode == 2, f"{arguments}: {run.stderr}")
    case("--json prints one JSON document", documents)

    def overwritten(folder):
        output, _ = pruned(folder, DIGITS, "--sparsity", 0.5)
        first = set(listing(folder))
        pruned(folder, DIGITS, "--sparsity", 0.8, "--overwrite")
        equal(set(listing(folder)), first, "files after a second run")
        equal(report_of(output)["result"]["sparsity"], 0.8, "sparsity of the second run")
        equal(report_of(output)["result"]["sha256"], hashlib.sha256(read(output)).hexdigest(), "sha256 of the second run")
    case("--overwrite replaces model and evidence", overwritten)

    def failed_later(folder):
        output, _ = pruned(folder, DIGITS, "--sparsity", 0.5)
        files = lambda: {name: read(os.path.join(folder, name)) for name in listing(folder) if os.path.isfile(os.path.join(folder, name)) and "/failed/" not in name}
        first = files()
        run = sparsify("prune", DIGITS, "-o", output, "--sparsity", 0.8, "--overwrite", "--set", "gates.min_sparsity=0.9")
        equal(run.returncode, 4, run.stderr)
        equal(files(), first, "model and evidence of the run that succeeded")
        failed = os.path.splitext(output)[0] + ".sparsify/failed/report.json"
        equal(json.loads(read(failed))["result"]["sparsity"], 0.8, "sparsity in the report of the run that failed")
        check("failed" in run.stderr, f"the report is named: {run.stderr}")
        pruned(folder, DIGITS, "--sparsity", 0.8, "--overwrite")
        check(not os.path.exists(failed), "a run that succeeds takes it away")
    case("a run that fails leaves the model and the evidence of an earlier one alone", failed_later)


def networks():
    for name in ("akamaster-resnet20-cifar10", "akamaster-resnet56-cifar10-bn"):
        path = shared("models", f"{name}.onnx")
        if path is None:
            print(f"SKIPPED: cli_prune: {name}.onnx is absent")
            continue
        orders = {}
        for allocation in ("global", "uniform"):
            def run(folder):
                before = onnx.weights_of(path)
                dry = json.loads(succeeds("prune", path, "--sparsity", 0.5, *ALL, "--dry-run", "--json").stdout)
                names = [layer["initializer"] for layer in dry["layers"] if layer["prunable"]]
                equal(names, [n for n in names if len(before[n].shape) in (2, 4)], "Conv and Gemm weights")
                equal(len(names), sum(len(w.shape) in (2, 4) and w.kind == onnx.FLOAT for w in before.values()), "number of weights")
                for sparsity in (0.5, 0.7, 0.8, 0.9, 0.95):
                    output, _ = pruned(folder, path, "--sparsity", sparsity, "--allocation", allocation, *ALL, *EXACT, "--overwrite")
                    check_result(path, output, expected_masks(names, before, sparsity, allocation, orders))
            case(f"{name}, {allocation} 0.5 to 0.95: the weights an independent sort takes", run)

    path = shared("models", "mlperf-tiny-resnet8-cifar10.onnx")
    if path is None:
        print("SKIPPED: cli_prune: mlperf-tiny-resnet8-cifar10.onnx is absent")
        return

    def stem(folder):
        output, _ = pruned(folder, path, "--sparsity", 0.5)
        report = report_of(output)
        first = next(layer for layer in report["layers"] if layer["op"] == "Conv")
        check(first["skipped"] is not None and "first layer" in first["skipped"], f"the stem: {first}")
        equal(onnx.weights_of(output)[first["initializer"]].bytes, onnx.weights_of(path)[first["initializer"]].bytes, "the stem's bytes")
        check(any(first["name"] in warning and "smaller" in warning for warning in report["warnings"]), f"warnings: {report['warnings']}")
    case("mlperf-tiny-resnet8, global 0.5: the stem of raw pixels stays dense, with a warning", stem)


exact_counts()
patterns()
storage()
evidence()
command_line()
networks()
finish()
