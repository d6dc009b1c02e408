"""text.py PROGRAM [NAME]: texts in a TSV file through a small classifier: evaluated, pruned, trained, and refused where they do not fit."""
import json
import os
import struct

import tiny_onnx as onnx
from harness import case, check, check_error, equal, finish, listing, read, sparsify, succeeds, write

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "##s", ".", "\""]
DEV = "sentence\tlabel\nGood films.\t1\nBÁD film\t0\n\"good\" good bad\t1\nbad good bad\t1\n"  # the last label is wrong
MARKS = 0.25  # what a text without a word says in favour of "bad"


def classifier(length="length", kind=onnx.INT64):
    """The sum of what the words stand for, over the mask; a word "good" speaks for class 1, "bad" for class 0."""
    table = [0.0] * (len(WORDS) * 4)
    table[4 * 4 + 1] = table[5 * 4] = 1.0
    table[2 * 4] = MARKS
    first = [(1.0 if i % 6 == 0 else 0.01 * (i % 5)) for i in range(20)]  # [4, 5], diagonal
    second = [1.0, 0.01, 0.02, 1.0] + [0.01 * i for i in range(6)]  # [5, 2]
    nodes = [onnx.node("Gather", ["table", "input_ids"], ["words"], "embed"), onnx.node("Cast", ["attention_mask"], ["mask"], "cast", to=1),
             onnx.node("Unsqueeze", ["mask", "last"], ["column"], "unsqueeze"), onnx.node("Mul", ["words", "column"], ["masked"], "mask_words"),
             onnx.node("ReduceSum", ["masked", "ids"], ["text"], "sum", keepdims=0), onnx.node("MatMul", ["text", "w0"], ["hidden"], "fc0"),
             onnx.node("Relu", ["hidden"], ["active"], "relu"), onnx.node("MatMul", ["active", "w1"], ["classes"], "fc1")]
    tensors = [onnx.tensor("table", [len(WORDS), 4], table), onnx.tensor("last", [1], [2], onnx.INT64), onnx.tensor("ids", [1], [1], onnx.INT64),
               onnx.tensor("w0", [4, 5], first), onnx.tensor("w1", [5, 2], second)]
    inputs = [onnx.value("input_ids", ["N", length], kind), onnx.value("attention_mask", ["N", length], kind)]
    return onnx.model(nodes, tensors, inputs, [onnx.value("classes", ["N", 2])])


def prepare(folder, **files):
    for name, content in {"m.onnx": classifier(), "dev.tsv": DEV, "vocab.txt": "\n".join(WORDS) + "\n", **files}.items():
        write(os.path.join(folder, name), content)


def metric(run):
    return json.loads(run.stdout)["metric"]


TEXT = "tsv_text:dev.tsv,vocabulary=vocab.txt"
ALL = ["--set", "prune.0.select.first_last=true"]


def evaluates(folder):
    prepare(folder)
    for keys in ("", ",max_length=16", ",lowercase=true,text=sentence,label=label"):
        found = metric(succeeds("eval", "m.onnx", "--data", TEXT + keys, "--json", cwd=folder))
        equal((found["name"], found["value"], found["samples"]), ("top1", 75.0, 4), f"metric with {keys!r}")
    # Cased: BÁD is not in the vocabulary, which leaves what the marks say; Good is not either.
    equal(metric(succeeds("eval", "m.onnx", "--data", TEXT + ",lowercase=false", "--json", cwd=folder))["value"], 50.0, "metric with case")
    # Rows of 3 leave a quotation mark of the third text and "bad" of the last.
    write(os.path.join(folder, "m.onnx"), classifier(3, 6))
    equal(metric(succeeds("eval", "m.onnx", "--data", TEXT, "--json", cwd=folder))["value"], 50.0, "metric of a model with rows of 3, int32")


def prunes(folder):
    prepare(folder)
    succeeds("prune", "m.onnx", "-o", "out.onnx", "--sparsity", "0.5", "--data", TEXT, "--train-data", TEXT, *ALL, cwd=folder)
    report = json.loads(read(os.path.join(folder, "out.sparsify/report.json")))
    equal(report["result"]["pruned"], round(report["result"]["prunable"] * 0.5), "pruned weights")
    equal(report["metric"]["samples"], 4, "samples")
    equal(report["metric"]["before"], 75.0, "metric before")
    check(all(one["passed"] for one in report["verification"]), report["verification"])


def trains(folder):
    prepare(folder)
    for name in ("a", "b"):
        succeeds("finetune", "m.onnx", "-o", f"{name}.onnx", "--data", TEXT, "--train-data", TEXT, "--set", "train.steps=30", "--set",
                 "train.batch_size=4", "--lr", "0.2", "--threads", "1", cwd=folder)
    equal(read(os.path.join(folder, "a.onnx")), read(os.path.join(folder, "b.onnx")), "the same run twice")
    check(onnx.weights_of(os.path.join(folder, "a.onnx"))["table"].bytes != onnx.weights_of(os.path.join(folder, "m.onnx"))["table"].bytes,
          "embeddings are trained")
    report = json.loads(read(os.path.join(folder, "a.sparsify/report.json")))
    check(report["metric"]["after"] >= 75.0, report["metric"])


def recipes(folder):
    """Both paths are relative to the recipe, in the resolved one as well."""
    os.makedirs(os.path.join(folder, "recipes"))
    os.makedirs(os.path.join(folder, "data"))
    prepare(folder, **{"data/dev.tsv": DEV, "data/vocab.txt": "\n".join(WORDS) + "\n"})
    write(os.path.join(folder, "recipes", "r.yaml"),
          "model: ../m.onnx\noutput: ../out.onnx\ndata:\n  eval: {format: tsv_text, path: ../data, split: validation, vocabulary: ../data/vocab.txt}\n"
          "prune: {sparsity: 0.5, criterion: magnitude, select: {first_last: true}}\n")
    succeeds("prune", "--config", "recipes/r.yaml", cwd=folder)
    first = read(os.path.join(folder, "out.onnx"))
    succeeds("prune", "--config", "out.sparsify/recipe.yaml", "-o", "again.onnx", cwd=folder)
    equal(read(os.path.join(folder, "again.onnx")), first, "the model of the resolved recipe")
    equal(json.loads(read(os.path.join(folder, "again.sparsify/report.json")))["metric"]["before"], 75.0, "metric of the resolved recipe")


def unlabelled(folder):
    prepare(folder, **{"test.tsv": "index\tsentence\n0\tgood\n1\tbad\n"})
    run = succeeds("prune", "m.onnx", "-o", "out.onnx", "--sparsity", "0.5", "--train-data", TEXT.replace("dev", "test"), *ALL, cwd=folder)
    check(os.path.exists(os.path.join(folder, "out.onnx")), run.stderr)


def explains(folder):
    told = succeeds("explain", "data format", "tsv_text").stdout
    for key in ("text", "label", "label_names", "vocabulary", "max_length", "lowercase", "split", "path"):
        check(key in told, f"explain lacks {key}:\n{told}")
    check("tsv_text" in succeeds("list", "data format").stdout, "list names the format")
    check("max_length" in succeeds("schema").stdout, "the schema has its keys")
    check("ICU" in succeeds("--version").stdout, "--version names ICU")


def sentence_piece(folder):
    """A unigram model written here; the program still reads ONNX files and runs LibTorch beside the library's own protobuf."""
    def piece(text, score, kind):
        return onnx.data(1, onnx.data(1, text) + b"\x15" + struct.pack("<f", score) + onnx.number(3, kind))
    pieces = [piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3), piece("▁", -5, 1), piece("▁good", -1, 1), piece("▁bad", -1, 1)]
    prepare(folder, **{"spiece.model": b"".join(pieces) + onnx.data(2, onnx.number(3, 1)) + onnx.data(3, onnx.data(1, "identity")),
                       "dev.tsv": "sentence\tlabel\ngood\t1\nbad\t0\nbad bad good\t0\nbad\t1\n"})
    arguments = ["--data", "tsv_text:dev.tsv,vocabulary=spiece.model", "--json"]
    if "SentencePiece" not in succeeds("--version").stdout:
        check_error(sparsify("eval", "m.onnx", *arguments, cwd=folder), 2, ("spiece.model", "built without"), "vocabulary", "libsentencepiece-dev")
        return
    equal(metric(succeeds("eval", "m.onnx", *arguments, cwd=folder))["value"], 75.0, "metric")
    out = ["-o", "out.onnx", "--sparsity", "0.5", "--train-data", arguments[1], *ALL]
    succeeds("prune", "m.onnx", *arguments, *out, cwd=folder)
    equal(metric(succeeds("eval", "out.onnx", *arguments, cwd=folder))["samples"], 4, "samples of the result")
    write(os.path.join(folder, "broken.model"), "no model")
    check_error(sparsify("eval", "m.onnx", "--data", "tsv_text:dev.tsv,vocabulary=broken.model", cwd=folder), 3, "SentencePiece cannot read", "broken.model")


def refused(name, code, keys, what=(), where=(), fix=(), **files):
    def run(folder):
        prepare(folder, **files)
        before = listing(folder)
        check_error(sparsify("prune", "m.onnx", "-o", "out.onnx", "--sparsity", "0.5", "--data", "tsv_text:" + keys, *ALL, cwd=folder), code, what, where, fix)
        equal(listing(folder), before, "files afterwards")
    case(name, run)


def bad_input():
    ok = ",vocabulary=vocab.txt"
    refused("a column that is not there", 2, f"dev.tsv{ok},text=sentense", ("dev.tsv", "sentense"), "--data", 'did you mean "sentence"')
    refused("a label column that is not there", 2, f"dev.tsv{ok},label=lable", "lable", "--data", 'did you mean "label"')
    refused("columns among which none is clearly the text", 2, f"dev.tsv{ok}", "a, b", "--data", "text: COLUMN", **{"dev.tsv": "a\tb\n1\t2\n"})
    refused("an unknown key", 2, f"dev.tsv{ok},max_lenght=5", "max_lenght", "--data", "max_length")
    refused("max_length of 2", 2, f"dev.tsv{ok},max_length=2", "max_length is 2", "--data", "[3, ")
    refused("no vocabulary", 2, "dev.tsv", "vocabulary is not given", "--data", "vocab.txt")
    refused("a vocabulary that is not there", 3, "dev.tsv,vocabulary=none.txt", "no such file", "none.txt")
    refused("a vocabulary of another kind", 2, "dev.tsv,vocabulary=tokenizer.json", ".txt nor in .model", "--data", "vocab.txt")
    refused("a vocabulary without [UNK]", 3, f"dev.tsv{ok}", "has no [UNK]", "vocab.txt", "[UNK]", **{"vocab.txt": "[PAD]\n[CLS]\n[SEP]\ngood\n"})
    refused("a vocabulary that the model's table is too short for", 3, f"dev.tsv{ok}", "is outside the 10 entries of axis 0", "embed", "vocabulary",
            **{"vocab.txt": "\n".join(WORDS[:4] + ["x"] * 20 + WORDS[4:])})
    refused("a label that is a word", 3, f"dev.tsv{ok}", "pos", "dev.tsv:3", "label_names", **{"dev.tsv": "sentence\tlabel\na\t1\nb\tpos\n"})
    refused("a label beyond the classes", 3, f"dev.tsv{ok},classes=2", "label is 2", "dev.tsv:3", (), **{"dev.tsv": "sentence\tlabel\na\t1\nb\t2\n"})
    refused("a label beyond the model's output", 3, f"dev.tsv{ok}", "2", (), (), **{"dev.tsv": "sentence\tlabel\na\t1\nb\t2\n"})
    refused("a line with a field too many", 3, f"dev.tsv{ok}", ("3 columns", "has 2"), "dev.tsv:3", "tabs", **{"dev.tsv": "sentence\tlabel\na\t1\nb\tc\t0\n"})
    refused("an empty file", 3, f"dev.tsv{ok}", "empty", "dev.tsv", (), **{"dev.tsv": ""})
    refused("a header alone", 3, f"dev.tsv{ok}", "no records", "dev.tsv", (), **{"dev.tsv": "sentence\tlabel\n"})
    refused("a file in Latin-1", 3, f"dev.tsv{ok}", "UTF-8", "dev.tsv:2", "iconv", **{"dev.tsv": b"sentence\tlabel\nna\xefve\t1\n"})
    refused("a table with commas", 2, f"dev.tsv{ok}", "sentence,label", "--data", "text: COLUMN", **{"dev.tsv": "sentence,label\ngood,1\n"})
    refused("a split that is not there", 3, f".{ok},split=test", "test.tsv is not there", (), "split")
    refused("a file that is not there", 3, f"none.tsv{ok}", "no such file", "none.tsv", "path")
    refused("a model of images", 3, f"dev.tsv{ok}", "\"x\"", "dev.tsv", "input_ids", **{"m.onnx": onnx.chain([([4, 8], [0.5] * 32), ([8, 4], [0.5] * 32)])[0]})
    refused("rows that are not the model's", 2, f"dev.tsv{ok},max_length=9", ("9", "8"), "--data", "remove max_length", **{"m.onnx": classifier(8)})


case("a classifier of texts is evaluated", evaluates)
case("a classifier of texts is pruned", prunes)
case("a classifier of texts is trained", trains)
case("paths of texts and vocabulary start at the recipe", recipes)
case("texts without labels", unlabelled)
case("what is told about the format", explains)
case("a SentencePiece vocabulary beside ONNX's protobuf", sentence_piece)
bad_input()
finish()
