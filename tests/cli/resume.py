"""resume.py PROGRAM [COUNT]: kills a training with SIGKILL at random moments and resumes it until it is done; the file must equal that of the
undisturbed run, byte for byte. COUNT kills in all (4 in the test suite; 50 by hand)."""
import os
import random
import subprocess
import sys
import time

COUNT = int(sys.argv.pop(2)) if len(sys.argv) > 2 and sys.argv[2].isdigit() else 4

from harness import DIGITS, PROGRAM, SOURCE, case, check, equal, finish, read, succeeds  # noqa: E402 (reads argv)

TRAIN = f"npz:{os.path.join(SOURCE, 'configs', 'quickstart', 'digits-train.npz')},scale=16"
RECIPES = {
    "one shot, adam, averages": ["--set", "train.optimizer=adam", "--set", "train.ema=0.9", "--set", "train.mixup=0.3"],
    "gradual": ["--set", "schedule={name: cubic, every: 3}"],
    "lottery ticket": ["--set", "schedule={name: imp, rounds: 3, rewind: {to_step: 5}}", "--set", "train.steps=25"],
    "channels": ["--set", "schedule={name: cubic, every: 3}", "--set", "prune.0.pattern=channel", "--set", "prune.0.sparsity=0.5", "--set", "initialise=xavier"],
    "rigl": ["--set", "schedule={name: dynamic, every: 5}"],
}


def kill_and_resume(folder, recipe, kills, rng):
    def arguments(name):
        return ["prune", DIGITS, "-o", os.path.join(folder, name), "--sparsity", "0.8", "--train-data", TRAIN, "--threads", "1", "--set", "train.steps=60",
                "--set", "train.checkpoint_steps=3", *recipe]
    start = time.time()
    succeeds(*arguments("whole.onnx"))
    whole = time.time() - start
    cut, evidence = os.path.join(folder, "cut.onnx"), os.path.join(folder, "cut.sparsify")
    done = 0
    while True:
        run = subprocess.Popen([PROGRAM, *arguments("cut.onnx"), "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            said = run.communicate(timeout=rng.uniform(0.2, 0.9) * whole if done < kills else 120)[1]
            equal(run.returncode, 0, said)
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            done += 1
            if not os.path.exists(cut) or os.path.exists(os.path.join(evidence, "checkpoints")):
                continue  # not at its end: to be resumed
            check(os.path.exists(os.path.join(evidence, "report.json")), "killed after the end: the evidence is complete")
        equal(read(cut), read(os.path.join(folder, "whole.onnx")), f"the file after {done} kills")
        if done == kills:
            return done
        os.remove(cut)  # all over again, for the kills that are left


total = 0
rng = random.Random(20261121)
for index, (name, recipe) in enumerate(RECIPES.items()):
    def run(folder, recipe=recipe, kills=max(1, (COUNT + index) // len(RECIPES))):
        global total
        total += kill_and_resume(folder, recipe, kills, rng)
    case(name, run)
print(f"{total} kills")
finish()
