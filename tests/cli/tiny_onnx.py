"""Small ONNX models, written field by field in protobuf's wire format, and a reader for their tensors."""
import struct

FLOAT, INT8, INT64, BOOL, FLOAT16, DOUBLE, BFLOAT16 = 1, 3, 7, 9, 10, 11, 16
WIDTH = {FLOAT: 4, INT8: 1, INT64: 8, FLOAT16: 2, DOUBLE: 8, BFLOAT16: 2}


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def pack(kind, values):
    """The little-endian bytes of `values` in the element type `kind`."""
    if kind == BFLOAT16:
        return b"".join(struct.pack("<f", v)[2:] for v in values)  # truncation: exact for the values in use
    return struct.pack(f"<{len(values)}{ {FLOAT: 'f', INT8: 'b', INT64: 'q', FLOAT16: 'e', DOUBLE: 'd'}[kind]}", *values)


def unpack(kind, raw):
    if kind == BFLOAT16:
        return [struct.unpack("<f", b"\0\0" + raw[i:i + 2])[0] for i in range(0, len(raw), 2)]
    letter = {FLOAT: "f", INT8: "b", INT64: "q", FLOAT16: "e", DOUBLE: "d"}[kind]
    return list(struct.unpack(f"<{len(raw) // WIDTH[kind]}{letter}", raw))


def tensor(name, shape, values, kind=FLOAT, storage="raw", location="w.bin", offset=0, length=None):
    """A TensorProto. storage: raw | typed | external (the caller writes the data file)."""
    out = b"".join(number(1, d) for d in shape) + number(2, kind)
    raw = pack(kind, values)
    if storage == "typed":
        if kind in (FLOAT16, BFLOAT16):
            out += data(5, b"".join(varint(v) for v in struct.unpack(f"<{len(values)}H", raw)))  # int32_data
        else:
            out += data({FLOAT: 4, INT64: 7, DOUBLE: 10}[kind],
                        raw if kind != INT64 else b"".join(varint(v) for v in values))
    out += data(8, name)
    if storage == "raw":
        out += data(9, raw)
    if storage == "external":
        entries = {"location": location, "offset": str(offset), "length": str(length or len(raw))}
        out += b"".join(data(13, data(1, key) + data(2, value)) for key, value in entries.items()) + number(14, 1)
    return out


def node(op, inputs, outputs, name, domain="", **integers):
    """A NodeProto; attributes are integers, lists of them, or graphs."""
    out = b"".join(data(1, i) for i in inputs) + b"".join(data(2, o) for o in outputs) + data(3, name) + data(4, op)
    for key, value in integers.items():
        if isinstance(value, bytes):  # a graph
            out += data(5, data(1, key) + data(6, value) + number(20, 5))
        elif isinstance(value, int):
            out += data(5, data(1, key) + number(3, value) + number(20, 2))
        else:
            out += data(5, data(1, key) + b"".join(number(8, v) for v in value) + number(20, 7))
    return out + (data(7, domain) if domain else b"")


def value(name, shape, kind=FLOAT):
    dims = b"".join(data(1, data(2, d) if isinstance(d, str) else number(1, d)) for d in shape)
    return data(1, name) + data(2, data(1, number(1, kind) + data(2, dims)))


def graph(nodes, tensors, inputs, outputs, name="tiny"):
    out = b"".join(data(1, n) for n in nodes) + data(2, name) + b"".join(data(5, t) for t in tensors)
    return out + b"".join(data(11, i) for i in inputs) + b"".join(data(12, o) for o in outputs)


def model(nodes, tensors, inputs, outputs, opset=17, domains=()):
    imports = data(8, data(1, "") + number(2, opset))
    imports += b"".join(data(8, data(1, d) + number(2, 1)) for d in domains)
    return number(1, 8) + data(2, "tiny_onnx") + data(7, graph(nodes, tensors, inputs, outputs)) + imports + data(14, data(1, "origin") + data(2, "test"))


def chain(weights, kind=FLOAT, storage="raw", location="w.bin"):
    """x [N, a] -> MatMul w0 -> Relu -> MatMul w1 -> ... -> y; `weights` are (shape, values). Returns the file and the data file."""
    nodes, tensors, outside, at = [], [], b"", "x"
    for i, (shape, values) in enumerate(weights):
        tensors.append(tensor(f"w{i}", shape, values, kind, storage, location, len(outside)))
        outside += pack(kind, values)
        last = i + 1 == len(weights)
        nodes.append(node("MatMul", [at, f"w{i}"], ["y" if last else f"m{i}"], f"fc{i}"))
        if not last:
            nodes.append(node("Relu", [f"m{i}"], [f"r{i}"], f"relu{i}"))
            at = f"r{i}"
    inputs, outputs = [value("x", ["N", weights[0][0][0]], kind)], [value("y", ["N", weights[-1][0][1]], kind)]
    return model(nodes, tensors, inputs, outputs), outside


def fields(raw, start=0, end=None):
    """(field, value, position): value is an integer or a (start, end) range in `raw`."""
    def read(at):
        result = shift = 0
        while True:
            result |= (raw[at] & 127) << shift
            shift += 7
            at += 1
            if raw[at - 1] < 128:
                return result, at
    end = len(raw) if end is None else end
    while start < end:
        key, start = read(start)
        if key & 7 == 0:
            got, start = read(start)
        elif key & 7 == 2:
            size, start = read(start)
            got, start = (start, start + size), start + size
        else:
            size = {1: 8, 5: 4}[key & 7]
            got, start = (start, start + size), start + size
        yield key >> 3, got


class Weight:
    """One initializer: name, kind, shape and where its payload lies in the file (None: outside, or a varint list)."""

    def __init__(self, raw, span, folder):
        self.shape, self.kind, self.name, self.span, self.storage, outside = [], 0, "", None, "raw", {}
        values = None
        for field, got in fields(raw, *span):
            if field == 1 and isinstance(got, tuple):
                at = raw[got[0]:got[1]]
                self.shape += [v for _, v in fields(b"".join(b"\x08" + bytes([b]) if b < 128 else bytes([b]) for b in at))]
            elif field == 1:
                self.shape.append(got)
            elif field == 2:
                self.kind = got
            elif field == 8:
                self.name = raw[got[0]:got[1]].decode()
            elif field in (4, 9, 10):
                self.span, self.storage = got, "raw" if field == 9 else "typed"
            elif field == 5:
                self.storage, packed, values, at, shift = "typed", raw[got[0]:got[1]], [], 0, 0
                for byte in packed:
                    at |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        values.append(at)
                        at = shift = 0
            elif field == 13:
                entry = {f: raw[g[0]:g[1]].decode() for f, g in fields(raw, *got)}
                outside[entry[1]] = entry[2]
        if outside:
            self.storage, self.location = "external", outside["location"]
            with open(f"{folder}/{self.location}", "rb") as file:
                file.seek(int(outside.get("offset", 0)))
                self.bytes = file.read(int(outside["length"]))
        else:
            self.bytes = struct.pack(f"<{len(values)}H", *values) if values is not None else raw[self.span[0]:self.span[1]] if self.span else b""

    def values(self):
        return unpack(self.kind, self.bytes)


def weights_of(path):
    """Initializers by name, in the file's order."""
    folder = path.rsplit("/", 1)[0] if "/" in path else "."
    with open(path, "rb") as file:
        raw = file.read()
    result = {}
    for field, got in fields(raw):
        if field != 7:
            continue
        for inner, span in fields(raw, *got):
            if inner == 5:
                weight = Weight(raw, span, folder)
                result[weight.name] = weight
    return result
