# SPDX-License-Identifier: Apache-2.0
"""Prints what a machine without Python needs to run tests/bypass as we would: this interpreter, its standard library, and the packages
named below with all that they ask for. Absolute paths, one a line; the libraries that they are linked with are the caller's to find."""
import importlib.metadata as metadata
import pathlib
import re
import sys
import sysconfig

PACKAGES = ("pytest", "pytest-xdist", "cryptography")
# Of the standard library: nobody asks for these, and they are most of it.
LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data", "_tkinter", "site-packages", "dist-packages"}


def is_wanted(path, top):
    parts = path.relative_to(top).parts
    return not LEFT_OUT.intersection(parts) and not any(p.startswith("config-") for p in parts) and path.suffix not in (".a", ".exe")


def standard_library():
    for top in {pathlib.Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib")}:
        # platstdlib of a virtual environment holds site-packages and nothing else.
        yield from (p for p in top.rglob("*") if p.is_file() and is_wanted(p, top))


def with_requirements(names):
    """Extras and what is for other systems are not followed: what is not installed is not needed."""
    found, open_names = {}, list(names)
    while open_names:
        name = open_names.pop()
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in names:
                raise
            continue
        for line in found[name].requires or []:
            if "extra ==" not in line:
                open_names.append(re.match(r"[\w.-]+", line)[0])
    return found.values()


def main():
    prefix = pathlib.Path(sys.prefix)
    files = {pathlib.Path(sys.executable), pathlib.Path(sys._base_executable).resolve(), prefix / "pyvenv.cfg"}
    files.update(standard_library())
    for package in with_requirements(PACKAGES):
        files.update(pathlib.Path(package.locate_file(f)) for f in package.files or [])
    for f in sorted(files):
        if f.is_file() and "/../" not in str(f):
            print(f)


main()
