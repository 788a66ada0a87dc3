# SPDX-License-Identifier: Apache-2.0
"""The workloads of the end-to-end tests are used here too."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
