"""Acts like the worker towards its job folder, without torch: `fake_worker.py [MODE] (JOB_DIR | --standby)`.

Modes: quick (5 steps), long (until stopped), deaf (ignores stop and SIGTERM), crash (dies at step 2), mute (dies at
once).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

mode, target = sys.argv[1], sys.argv[2]
if target == "--standby":
    target = sys.stdin.readline().strip()
    if not target:
        sys.exit(0)
job = Path(target)
(job / "worker.log").open("a").write(f"{mode} worker on {json.loads((job / 'spec.json').read_text())['name']} — ä\n")


def say(state: str, step: int) -> None:
    status = {"state": state, "step": step, "total_steps": 5, "pid": os.getpid(), "updated": time.time()}
    staged = job / ".status.tmp"
    staged.write_text(json.dumps(status))
    os.replace(staged, job / "status.json")


if mode == "mute":
    sys.exit("the fake worker said nothing")
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
say("starting", 0)
step, ending = 0, "finished"
while mode != "quick" or step < 5:
    step += 1
    with (job / "metrics.jsonl").open("a") as points:
        points.write(json.dumps({"step": step, "loss": 1 / step}) + "\n")
    say("running", step)
    if mode == "crash" and step == 2:
        sys.exit("ValueError: the fake worker crashed")
    if mode != "deaf" and (job / "stop").exists():
        ending = "stopped"
        break
    time.sleep(0.02)
(job / "adapter").mkdir()
(job / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
(job / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "/somewhere/private"}')
say(ending, step)
