"""Every command with ``--offline`` under ``strace``: no Internet socket is opened.

What may be opened are sockets of the machine itself, ``AF_UNIX`` (between processes, to the name service cache),
and ``AF_NETLINK`` (to the kernel). Any ``AF_INET`` or ``AF_INET6`` is a finding, whether it connects or not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tools.fuzz.child import Child
from tools.fuzz.limits import Finding, environment
from tools.fuzz.templates import ANSWER

__all__ = ["COMMANDS", "INTERNET", "check_sockets", "may_trace"]

INTERNET = re.compile(r"\bsocket(?:pair)?\(AF_INET6?\b.*|\bsa_family=AF_INET6?\b.*")

_STRACE = ["strace", "-f", "-qq", "-e", "trace=network", "-o"]
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
    "prompts list", "prompts show photo", "cache info", "cache check", "cache clear --yes",
)  # fmt: skip
COMMANDS = (*_OFFLINE, *_LOCAL)
"""Command lines that must not open a socket, in the folder that :func:`tools.fuzz.templates.make_template` fills."""


def may_trace() -> bool:
    """Tell whether strace is installed and may trace processes here."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run([*_STRACE, "/dev/null", "true"], capture_output=True, check=False)
    return done.returncode == 0


def check_sockets(scratch: Path) -> list[Finding] | None:
    """Run :data:`COMMANDS` in a process under strace; ``None`` if that is not possible here.

    One process runs all, from its start and the imports of all libraries to the last command.

    Parameters
    ----------
    scratch
        A folder with a ``template`` in it; the commands run in a copy.
    """
    if not may_trace():
        return None
    folder, trace = scratch / "sockets" / "case", scratch / "sockets" / "strace.log"
    shutil.copytree(scratch / "template", folder, symlinks=True)
    environment(folder.parent)  # makes the folder for temporary files of the process
    child = Child(folder.parent / "worker.log", [*_STRACE, str(trace)])
    findings, known = [], 0
    for line in COMMANDS:
        answer = child.run(folder, line.split())
        opened = INTERNET.findall(trace.read_text("utf-8", "replace")) if trace.exists() else ["no trace is written"]
        print(f"sockets: {line}: exit code {answer.code}, {len(opened) - known} Internet sockets", flush=True)
        findings += [Finding("sockets", f"{line}: {each[:200]}", trace) for each in opened[known:][:3]]
        known = len(opened)
        if answer.code not in (0, 2):  # 1 would be an input that failed; 2 where --offline refuses what is asked for
            findings.append(Finding("sockets", f"{line}: {answer.problem or answer.errors!r}", trace))
    child.close()
    return findings
