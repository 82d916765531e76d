"""What lies in a job's folder, the contract between whoever starts a job and the worker. One writer a file:

spec.json        what is to be done            whoever starts the job, once, before the worker
job.json         owner and process             the server; stays out of what is downloaded
status.json      where the job stands          the worker, replaced whole
metrics.jsonl    its points, one a line        the worker, one write a line
worker.log       its own words                 the worker
stop             asks it to save and end       the server makes it, the worker obeys
proof.json       what changed and what not     the worker, once, after the training
kept/            weights of the best look, ...  the worker, while it trains
data/            its stored data set           whoever starts the job, before the worker; links to the same files
adapter/         the result                    the worker, moved into place when it is whole:
                                               adapter_model.safetensors, adapter_config.json, README.md, curves.svg
NAME-adapter.zip the same to take home         the server, when it is first asked for

What it does not do: read or write any of them.
"""

from __future__ import annotations

SPEC, RECORD, STATUS, POINTS, LOG, STOP = "spec.json", "job.json", "status.json", "metrics.jsonl", "worker.log", "stop"
PROOF = "proof.json"
ADAPTER, DATA, KEPT = "adapter", "data", "kept"
WEIGHTS, CONFIG, CARD, CURVES = "adapter_model.safetensors", "adapter_config.json", "README.md", "curves.svg"
"""Inside of `ADAPTER`; PEFT gave the first two their names."""
