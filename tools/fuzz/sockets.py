"""Every command with ``--offline`` under ``strace``: no Internet socket is opened.

What may be opened are sockets of the machine itself, ``AF_UNIX`` (between processes, to the name service cache),
and ``AF_NETLINK`` (to the kernel). Any ``AF_INET`` or ``AF_INET6`` is a finding, whether it connects or not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.fuzz.limits import WAITING_SECONDS, Finding, environment
from tools.fuzz.templates import ANSWER

__all__ = ["COMMANDS", "INTERNET", "check_sockets", "may_trace"]

INTERNET = re.compile(r"\bsocket(?:pair)?\(AF_INET6?\b.*|\bsa_family=AF_INET6?\b.*")

_URL = "https://example.invalid/a.jpg"
_OFFLINE = (
    f"classify photos {ANSWER} --no-cache --offline -f jsonl",
    f"classify photos {ANSWER} --offline -o out.csv",
    f"classify {_URL} photos {ANSWER} --offline",
    f"classify s3://bucket/photos {ANSWER} --offline",
    "classify photos -m auto -l cat -l coffee --offline",
    "classify photos -m hf-hub:example/none -l cat -l coffee --offline",
    "classify photos -m ViT-B-32 --pretrained openai -l cat -l coffee --offline",
    "classify photos -m local-dir:tokenized -l cat -l coffee --offline",
    "matrix photos -m pocket -x cat -x coffee --offline",
    f"matrix {_URL} -m pocket -x cat --offline",
    f"export text {ANSWER} -o texts.npz --offline",
    "export images photos -m pocket -o images.parquet --offline",
    "evaluate truth.csv -m pocket -L labels.txt --offline",
    "train pairs.csv -o out --from-scratch model --epochs 1 --batch-size 4 --workers 2 --offline",
    "models download ViT-B-32 --pretrained openai --offline",
)
# These have no --offline, as they never use the network; here CLIPCLI_OFFLINE is set.
_LOCAL = (
    "report results.jsonl -o page.html", "sort results.jsonl --into sorted", "sort --undo sorted",
    "models list", "models list --all --on-disk", "models show pocket", "models show ViT-B-32",
    "prompts list", "prompts show photo", "cache info", "cache check", "cache clear",
)  # fmt: skip
COMMANDS = (*_OFFLINE, *_LOCAL)
"""Command lines that must not open a socket, in the folder that :func:`tools.fuzz.templates.make_template` fills."""


def may_trace() -> bool:
    """Tell whether strace is installed and may trace processes here."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(["strace", "-f", "-e", "trace=network", "true"], capture_output=True, check=False)
    return done.returncode == 0


def check_sockets(scratch: Path) -> list[Finding] | None:
    """Run each of :data:`COMMANDS` under strace; ``None`` if that is not possible here.

    Parameters
    ----------
    scratch
        A folder with a ``template`` in it; the commands run in a copy.
    """
    if not may_trace():
        return None
    folder = scratch / "sockets"
    shutil.copytree(scratch / "template", folder, symlinks=True)
    findings = []
    for place, line in enumerate(COMMANDS):
        log = scratch / f"strace-{place}.log"
        code = _trace(line, folder, log)
        opened = INTERNET.findall(log.read_text("utf-8", "replace"))
        print(f"sockets: {line}: exit code {code}, {len(opened)} Internet sockets", flush=True)
        if opened:
            findings.append(Finding("sockets", f"{line}: {opened[0][:200]}", log))
        elif code not in (0, 2):  # 2 where --offline has to refuse what is asked for
            findings.append(Finding("sockets", f"{line}: exit code {code}", log))
    return findings


def _trace(line: str, folder: Path, log: Path) -> int:
    command = ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(log), sys.executable, "-m", "clipcli"]
    variables = environment(folder) | {"CLIPCLI_OFFLINE": "1"}
    with log.with_suffix(".stderr").open("wb") as errors:
        try:
            done = subprocess.run(
                [*command, *line.split()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                cwd=folder, env=variables, timeout=2 * WAITING_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return -1
    return done.returncode
