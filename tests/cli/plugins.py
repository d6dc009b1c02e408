"""plugins.py PROGRAM [NAME]: user plugins, the example of docs/ first."""
import json
import os
import re
import shutil
import subprocess

from harness import DIGITS, PROGRAM, SOURCE, case, check, check_error, equal, finish, listing, read, sparsify, succeeds, write

FOLDER = os.path.join(os.path.dirname(PROGRAM), "..", "lib", "plugins")
EXAMPLE = os.path.join(FOLDER, "libplugin_example.so")


def adds(where):
    names = json.loads(succeeds("list", "--json", "--plugin", EXAMPLE).stdout)
    check("channel_relative" in names["criterion"] and "front_first" in names["allocation"], f"the plugins are not listed: {names}")
    check("channel_relative" not in json.loads(succeeds("list", "--json").stdout)["criterion"], "listed without --plugin")
    options = json.loads(succeeds("explain", "criterion", "channel_relative", "--json", "--plugin", EXAMPLE).stdout)["options"]
    equal([(o["key"], o["default"], o["range"]) for o in options], [("power", 1.0, "[0, 2]")], "options")


def prunes(where):
    out = os.path.join(where, "slim.onnx")
    arguments = ["prune", DIGITS, "-o", out, "--sparsity", "0.7", "--criterion", "channel_relative", "--allocation", "front_first", "--json"]
    report = json.loads(succeeds(*arguments, "--plugin", EXAMPLE).stdout)
    result = report["result"]
    equal(result["pruned"], int(0.7 * result["prunable"] + 0.5), "pruned weights")
    check(all(check["passed"] for check in report["verification"]), "verification")
    recipe = os.path.join(where, "slim.sparsify", "recipe.yaml")
    again = os.path.join(where, "again.onnx")
    succeeds("prune", "--config", recipe, "-o", again, "--plugin", EXAMPLE)
    equal(read(again), read(out), "the model of the resolved recipe")
    check_error(sparsify("prune", "--config", recipe, "-o", os.path.join(where, "none.onnx")), 2, what="channel_relative", where="recipe.yaml")
    # Power 0 is magnitude: the same model as the built-in criterion's.
    by_power = os.path.join(where, "power.onnx")
    magnitude = os.path.join(where, "magnitude.onnx")
    succeeds("prune", DIGITS, "-o", by_power, "--sparsity", "0.7", "--criterion", "{name: channel_relative, power: 0}", "--plugin", EXAMPLE)
    succeeds("prune", DIGITS, "-o", magnitude, "--sparsity", "0.7")
    equal(read(by_power), read(magnitude), "the model by power 0")
    check_error(sparsify("prune", DIGITS, "-o", out, "--overwrite", "--sparsity", "0.7", "--plugin", EXAMPLE, "--criterion", "{name: channel_relative, power: 3}"),
                2, what="power is 3", fix="[0, 2]")


def refuses(where):
    def refused(path, what, fix):
        run = sparsify("list", "--plugin", path)
        check_error(run, 2, what=what, where=os.path.basename(path), fix=fix)
        equal(run.stdout, "", "stdout")

    refused(os.path.join(FOLDER, "libplugin_other_version.so"), "version 99 of the plugin interface, this program has 1", "build the plugin again")
    refused(os.path.join(FOLDER, "libplugin_none.so"), "no sparsify plugin", "SPARSIFY_PLUGIN()")
    refused(os.path.join(FOLDER, "libplugin_duplicate.so"), '"magnitude", and there is one', "other names")
    refused(os.path.join(FOLDER, "libplugin_unresolved.so"), "sparsify_function_of_the_future", "headers")
    refused(write(os.path.join(where, "text.so"), "not a library"), "does not load", "shared library")
    refused(os.path.join(where, "absent.so"), "No such file", "shared library")
    os.chdir(where)
    shutil.copy(EXAMPLE, "local.so")
    succeeds("list", "--plugin", "local.so")  # beside the caller, not in the system's folders
    check_error(sparsify("list", "--plugin", EXAMPLE, "--plugin", "local.so"), 2, what="channel_relative", where="local.so")


def documented(where):
    command = re.search(r"^g\+\+ .*$", read(os.path.join(SOURCE, "docs", "plugins.md")).decode(), re.M).group(0)
    if shutil.which("g++") is None:
        print("SKIPPED: the documented command: no g++")
        return
    library = os.path.join(where, "libchannel_relative.so")
    build = subprocess.run(command.replace("-O2", "-O0").replace("-o libchannel_relative.so", f"-o {library}"), shell=True, cwd=SOURCE, capture_output=True, text=True)
    equal(build.returncode, 0, build.stderr)
    check("channel_relative" in succeeds("list", "criterion", "--plugin", library).stdout, "the library built by the documented command adds nothing")
    equal(sorted(listing(where)), ["libchannel_relative.so"], "files")


case("the example plugin adds a criterion and an allocation with their options", adds)
case("a run with the example plugin is exact, verified and repeatable", prunes)
case("libraries that are no fitting plugin are refused with the reason", refuses)
case("the command that the documentation gives builds a plugin that loads", documented)
finish()
