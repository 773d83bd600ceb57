#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# TAGS: fast
"""Every text that docs/operations.md quotes in the first column of a table with
"text" or "symptom" on top is one that the code says, and every state and wait
that the module and the agent name is in a table."""

import re
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "selftests/lib"))

import ktap

DOC = (TREE / "docs/operations.md").read_text()
# What others say: C library, kernel, shell.
FOREIGN = ("Cannot assign requested address", "Address already in use",
           "rmmod hcivol", "in state", "reserved bit set")
TOKEN = re.compile(r'''//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\])'|"(?:\\.|[^"\\])*"''',
                   re.S)


def literals():
    """All string literals of the product, adjacent ones joined."""
    out = []
    for folder in ("kernel", "agent", "agent/core", "tools/agentctl"):
        for path in sorted((TREE / folder).glob("*.[ch]")):
            text, end = path.read_text(), -1
            for token in TOKEN.finditer(text):
                if not token[0].startswith('"'):
                    continue
                body = token[0][1:-1].replace('\\"', '"').replace("\\n", "")
                if end >= 0 and not text[end:token.start()].strip():
                    out[-1] += body
                else:
                    out.append(body)
                end = token.end()
    return out


def rows(heading=None):
    """Cells of the tables, of one section or of those that quote texts."""
    on, section = False, ""
    for line in DOC.splitlines():
        if line.startswith("#"):
            section, on = line.lstrip("# "), False
        if not line.startswith("|"):
            on = False
            continue
        cells = [c.strip() for c in line.strip("|").split("|")]
        if cells[0] in ("text", "symptom"):
            on = True
        elif heading:
            if section.startswith(heading):
                yield cells
        elif on:
            yield cells


def parts(text):
    """What a quoted text says apart from numbers and names."""
    for part in re.split(r"\bNAME\b|\bUUID\b|\bDEVICE\b|hcivolN|\bN\b|\bM\b|"
                         r"\b[0-9]+\b|\.\.", text):
        part = part.strip(" :.")
        if len(part) >= 6:
            yield part


def test_texts():
    said, seen = "\n".join(literals()), 0
    for cells in rows():
        for text in re.findall(r"`([^`]+ [^`]+)`", cells[0]):
            if any(f in text for f in FOREIGN):
                continue
            for part in parts(text):
                seen += 1
                ktap.check(f"'{part}' is said", part in said, text)
    ktap.check("there are many", seen > 60, str(seen))


def check_named(heading, path, names):
    table = " ".join(cell for cells in rows(heading) for cell in cells)
    code = (TREE / path).read_text()
    for name in names.split():
        ktap.check_in(f"{heading}", f"`{name}`", table)
        ktap.check_in(path, f'"{name}"', code)


def test_states():
    check_named("Health of a volume", "agent/cluster_status.c",
                "new ok degraded down unreadable")
    check_named("State of a replica", "agent/cmd_volume_show.c",
                "insync stale syncing out failing lost joining")
    check_named("Health of a store", "agent/core/health.c",
                "ok suspect draining out latency media smart")
    check_named("State of the disk", "agent/cmd_volume_show.c",
                "loading active suspended stopping fenced zombie prepared "
                "halted")


def test_waits():
    """Each reason that agentctl has words for is explained."""
    code = (TREE / "tools/agentctl/volume.c").read_text()
    body = code[code.index("hcv_volume_wait_text"):]
    texts = re.findall(r'\{ "\w+", "([^"]+)" \}', body[:body.index("\n}")])
    table = " ".join(cells[0] for cells in rows("What I/O waits for"))
    ktap.check("there are some", len(texts) >= 7, str(texts))
    for text in texts:
        if text != "a disk":
            ktap.check_in("explained", f"`{text}`", table)


ktap.main(globals())
