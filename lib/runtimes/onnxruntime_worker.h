#pragma once

namespace sparsify {

/// What runs in the Python beside us: loads models into ONNX Runtime and runs them, one request after the other.
///
/// All numbers are little-endian; text is a uint64 length and its bytes. It first says `R` and its version, or `A` (absent) and why.
/// Requests: `L` path, int32 threads, uint8 optimise -> `O` uint32 session; `R` uint32 session, tensors -> `O` tensors;
/// `C` uint32 session -> `O`. Each may be answered by `E` and text instead.
/// Tensors: uint32 how many, each int32 element type (ONNX's number), uint32 rank, int64 sizes, uint64 length and bytes; strings
/// are texts one after the other. Text of error messages is cut at 2,000 bytes.
inline constexpr const char* kOnnxRuntimeWorker = R"python(
import os, struct, sys
sys.path[:] = [place for place in sys.path if place]  # nothing of the current folder is run
channel_out, channel_in = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
os.dup2(2, 1)

def say(kind, payload=b""):
    channel_out.write(kind + payload)
    channel_out.flush()

def text(words):
    data = str(words).encode()[:2000]
    return struct.pack("<Q", len(data)) + data

try:
    import numpy
    import onnxruntime
except Exception as error:
    say(b"A", text(error))
    sys.exit(0)
say(b"R", text(onnxruntime.__version__))

TYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
         12: "uint32", 13: "uint64"}
NUMBERS = {numpy.dtype(name): number for number, name in TYPES.items()}
sessions = {}

def take(size):
    data = channel_in.read(size)
    if len(data) != size:
        sys.exit(0)
    return data

def number(kind):
    return struct.unpack("<" + kind, take(struct.calcsize("<" + kind)))[0]

def take_tensor():
    kind, rank = number("i"), number("I")
    shape = [number("q") for _ in range(rank)]
    data = take(number("Q"))
    if kind == 8:
        words, at = [], 0
        while at < len(data):
            size = struct.unpack_from("<Q", data, at)[0]
            words.append(data[at + 8:at + 8 + size].decode())
            at += 8 + size
        return numpy.array(words, dtype=object).reshape(shape)
    return (kind, numpy.frombuffer(data, TYPES[kind]).reshape(shape)) if kind in TYPES else (kind, None)

def tensor(name, value):
    if not isinstance(value, (numpy.ndarray, numpy.generic)):
        raise TypeError(f"output {name} is no tensor")
    value = numpy.asarray(value)
    if value.dtype.kind in "OU":
        kind, data = 8, b"".join(struct.pack("<Q", len(word.encode())) + word.encode() for word in value.ravel().tolist())
    elif value.dtype in NUMBERS:
        kind, data = NUMBERS[value.dtype], numpy.ascontiguousarray(value).tobytes()
    else:
        raise TypeError(f"output {name} has elements of {value.dtype}")
    return struct.pack(f"<iI{value.ndim}q", kind, value.ndim, *value.shape) + struct.pack("<Q", len(data)) + data

def load(path, threads, optimise):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without VNNI its integer kernels saturate sums of neighbouring products, unless they are told to be exact.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    sessions[len(sessions)] = session
    return struct.pack("<I", len(sessions) - 1)

def run(session, tensors):
    names = [value.name for value in session.get_inputs()]
    if len(names) != len(tensors):
        raise ValueError(f"it has {len(names)} inputs, {len(tensors)} were given")
    for name, value in zip(names, tensors):
        if isinstance(value, tuple) and value[1] is None:
            raise TypeError(f"input {name} is of type {value[0]}, which numpy lacks")
    feeds = {name: value[1] if isinstance(value, tuple) else value for name, value in zip(names, tensors)}
    outputs = [value.name for value in session.get_outputs()]
    results = session.run(outputs, feeds)
    return struct.pack("<I", len(results)) + b"".join(tensor(name, value) for name, value in zip(outputs, results))

while True:
    request = take(1)
    if request == b"L":
        arguments = [take(number("Q")).decode(), number("i"), number("B")]
    elif request == b"R":
        arguments = [number("I"), [take_tensor() for _ in range(number("I"))]]
    else:
        arguments = [number("I")]
    try:
        if request == b"L":
            answer = load(*arguments)
        elif request == b"R":
            answer = run(sessions[arguments[0]], arguments[1])
        else:
            sessions[arguments[0]] = None
            answer = b""
    except Exception as error:
        say(b"E", text(error))
    else:
        say(b"O", answer)
)python";

}  // namespace sparsify
