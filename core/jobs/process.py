"""Who a process is, whether it is alive, and what it is told of the environment.

A pid alone does not name a process: after a reboot or a long night it names another. With /proc, a process is its
boot, its pid and its start time, and only that one is called alive or signalled. Elsewhere (macOS) the pid has to do.
What it does not do: start anything. Windows is not covered: sessions and process groups are POSIX.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")

_NAMES = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
})  # fmt: skip
_PREFIXES = (
    "LC_", "HF_", "TRANSFORMERS_", "TOKENIZERS_", "TORCH", "PYTORCH_", "PYTHON", "CUDA", "CUBLAS_", "CUDNN_", "NCCL_",
    "NVIDIA_", "HIP_", "ROCR_", "HSA_", "TRITON_", "XPU_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "GLOO_", "STUDIO_",
)  # fmt: skip
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
_TOKENS = frozenset({"HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN"})
_NO_LOGIN = "HF_HUB_DISABLE_IMPLICIT_TOKEN"
"""Set to 1, huggingface_hub sends no token unless told to, not even the one that `hf auth login` has stored."""
_SECRET = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "_KEY", "_AUTH")


@dataclass(frozen=True)
class Identity:
    """One process, for good: `start` is in clock ticks since the boot, 0 where the system does not say."""

    boot: str
    pid: int
    start: int


def identify(pid: int) -> Identity | None:
    """Who has this pid now; None when nobody alive has it."""
    if not _has_proc():
        return Identity("", pid, 0) if _answers(pid) else None
    found = _read_stat(pid)
    return None if found is None or found[0] in "ZX" else Identity(_boot(), pid, found[1])


def find_by_argument(argument: str) -> Identity | None:
    """The process that was started with this exact argument; for a start that was cut short before it was recorded."""
    wanted = argument.encode()
    for folder in PROC.glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended while we looked
            continue
        if wanted in arguments:
            return identify(int(folder.name))
    return None


def is_alive(identity: Identity) -> bool:
    """Whether that very process runs; a zombie, a reused pid and a process of an earlier boot do not count."""
    return identify(identity.pid) == identity


def signal_group(identity: Identity, number: signal.Signals) -> bool:
    """Signals the process and the children of its session; False, and nothing signalled, when it is another by now."""
    if not is_alive(identity):
        return False
    try:
        os.killpg(identity.pid, number)
    except (ProcessLookupError, PermissionError):  # it ended in between, or the group is not ours: then not our worker
        return False
    return True


def worker_environment(environment: Mapping[str, str], for_hub: bool, shared: bool = False) -> dict[str, str]:
    """What a worker is told: paths, devices and thread counts by name; a token only when it has to reach the Hub.

    On a shared server it gets none at all, nor one that is stored on the machine: its jobs are strangers'.
    """
    told = {name: text for name, text in environment.items() if _is_passed(name, for_hub, for_hub and not shared)}
    return told | {_NO_LOGIN: "1"} if shared else told


def _is_passed(name: str, with_proxies: bool, with_token: bool) -> bool:
    upper = name.upper()
    if upper in _PROXIES:
        return with_proxies
    if upper in _TOKENS:
        return with_token
    if upper == _NO_LOGIN:
        return True
    if any(word in upper for word in _SECRET) and not upper.startswith("TOKENIZERS_"):
        return False
    return upper in _NAMES or upper.startswith(_PREFIXES)


def _has_proc() -> bool:
    return (PROC / "self" / "stat").exists()


def _boot() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # some sandboxes hide it; pid and start time still tell processes apart until the next boot
        return ""


def _read_stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time: fields 3 and 22 of /proc/<pid>/stat (man proc_pid_stat)."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before the bracket may hold spaces and brackets itself
    return fields[0], int(fields[19])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
