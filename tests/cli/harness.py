"""Runs the program and judges what it said and left; one test case a line, the totals in Catch2's words."""
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import traceback

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
DIGITS = os.path.join(SOURCE, "configs", "quickstart", "digits.onnx")
EVAL_FILE = os.path.join(SOURCE, "configs", "quickstart", "digits-eval.npz")
EVAL = f"npz:{EVAL_FILE},scale=16"
PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""  # run only the cases whose name holds this

assertions = 0
passed, failed = [], []


class Broken(Exception):
    pass


def check(holds, what):
    global assertions
    assertions += 1
    if not holds:
        raise Broken(what)


def equal(actual, expected, what):
    check(actual == expected, f"{what}: {str(actual)[:400]!r} instead of {str(expected)[:400]!r}")


def sparsify(*arguments, cwd=None, timeout=120, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=timeout, **options)


def succeeds(*arguments, **options):
    run = sparsify(*arguments, **options)
    check(run.returncode == 0, f"exit code {run.returncode}: {' '.join(map(str, arguments))}\n{run.stderr}")
    return run


def on_terminal(columns, *arguments, **environment):
    """stdout of the program on a terminal of so many columns."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen([PROGRAM, *arguments], stdout=other, stderr=subprocess.DEVNULL, env={**kept, "NO_COLOR": "1", **environment})
    os.close(other)
    out = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the other end is closed
            part = b""
        if not part:
            break
        out += part
    os.close(main)
    equal(process.wait(), 0, "exit code on a terminal")
    return out.decode().replace("\r\n", "\n")


def check_error(run, code, what=(), where=(), fix=()):
    """Exactly one `error / at / fix` message, with these words in its parts, and this exit code."""
    equal(run.returncode, code, f"exit code, with this on stderr:\n{run.stderr}\n")
    starts = [re.findall(rf"^{re.escape(tag)}(.*)$", run.stderr, re.M) for tag in ("error: ", "   at: ", "  fix: ")]
    equal([len(s) for s in starts], [1, 1, 1], f"error/at/fix lines of:\n{run.stderr}\n")
    message = re.search(r"^error: (.*?)^   at: (.*?)^  fix: (.*)\Z", run.stderr, re.M | re.S)
    check(message is not None, f"error, at, fix are not the end of stderr, in this order:\n{run.stderr}")
    for part, words, name in zip(message.groups(), (what, where, fix), ("what", "where", "fix")):
        check(part.strip() != "", f"`{name}` is empty:\n{run.stderr}")
        for word in (words,) if isinstance(words, str) else words:
            check(word in part, f"`{name}` lacks {word!r}:\n{run.stderr}")


def listing(folder):
    """Relative path -> bytes of every file (None for folders) below `folder`."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in folders:
            found[os.path.relpath(os.path.join(base, name), folder)] = None
        for name in files:
            path = os.path.join(base, name)
            found[os.path.relpath(path, folder)] = read(path) if os.path.isfile(path) else None
    return found


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    with open(path, "wb" if isinstance(content, bytes) else "w") as file:
        file.write(content)
    return path


def shared(*parts):
    """A path in the folder of networks that is not part of the repository, or None."""
    path = os.path.join(os.environ.get("SPARSIFY_SHARED") or os.path.join(SOURCE, "..", "shared"), *parts)
    return path if os.path.exists(path) else None


def case(name, function):
    """Runs `function(folder)` in a folder of its own."""
    if ONLY not in name:
        return
    folder = tempfile.mkdtemp(prefix="sparsify-cli-")
    try:
        function(folder)
        passed.append(name)
        print(f"ok      {name}", flush=True)
    except Exception as problem:  # a missing report key is a failure like any other
        failed.append(name)
        text = str(problem) if isinstance(problem, Broken) else traceback.format_exc()
        print(f"FAILED  {name}\n        " + text.replace("\n", "\n        "), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def finish():
    total = len(passed) + len(failed)
    if failed:
        print(f"test cases: {total} | {len(passed)} passed | {len(failed)} failed")
        sys.exit(1)
    print(f"All tests passed ({assertions} assertions in {total} test cases)")
    sys.exit(0)
