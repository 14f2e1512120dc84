#!/usr/bin/env python3
"""Writes packaging/NOTICES.txt: whose code the library links, and under which licence.

It reads the sources of the crates in Cargo.lock. tests/install looks whether each of them is named.
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "packaging" / "NOTICES.txt"
# What a crate brings besides its own code.
BUNDLED = {"zstd-sys": ("zstd", "zstd/LICENSE"), "lz4-sys": ("lz4", "liblz4/lib/LICENSE")}
# Of a choice of licences, the first that is there.
NAMES = ["LICENSE-MIT", "LICENSE-MIT.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING"]

HEAD = """\
libsamsa is licensed under the Apache License 2.0 (the file LICENSE). The shared and the static library
contain the code below too, under the licences that follow each list.

The standard library of Rust, by the contributors of the Rust project: Apache License 2.0 or MIT licence, as
you like; the first is in the file LICENSE.
"""


def cargo(*arguments):
    done = subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def linked():
    """Name and version of each crate that the library links."""
    tree = cargo("tree", "--locked", "-e", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe", "-f", "{p}")
    found = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    return sorted((name, version.removeprefix("v")) for name, version in found if name != "libsamsa")


def licences():
    """Each text with those that it is the licence of."""
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--locked"))
    folders = {(p["name"], p["version"]): pathlib.Path(p["manifest_path"]).parent for p in metadata["packages"]}
    by_text = {}
    for name, version in linked():
        folder = folders[name, version]
        own = next((folder / file for file in NAMES if (folder / file).is_file()), None)
        parts = [(f"{name} {version}", own)]
        if name in BUNDLED:
            what, file = BUNDLED[name]
            parts.append((f"{what}, the C library in {name} {version}", folder / file))
        for title, file in parts:
            if file is None:
                sys.exit(f"{title} has no licence in {folder}: look where it is, and add its name here")
            lines = file.read_text(encoding="utf-8").strip("\n").splitlines()
            text = "\n".join(line.rstrip() for line in lines)
            by_text.setdefault(text, []).append(title)
    return by_text


def notices():
    parts = [HEAD]
    for text, titles in sorted(licences().items(), key=lambda entry: entry[1]):
        parts.append("-" * 80 + "\n" + "".join(f"{title}\n" for title in titles) + "\n" + text + "\n")
    return "\n".join(parts)


FILE.write_text(notices(), encoding="utf-8")
