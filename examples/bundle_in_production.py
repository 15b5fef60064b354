"""A policy bundle in production with numpy and onnxruntime alone: observations as CSV in, set-points in MHz out.

python examples/bundle_in_production.py BUNDLE observations.csv > setpoints.csv
The CSV has a column for each observation of the manifest, by name and in physical units.
"""

import csv
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def load(folder: Path) -> tuple[dict, onnxruntime.InferenceSession]:
    """Return manifest and session of a bundle; exits if a file is not the one that was exported."""
    for line in (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines():
        digest, name = line.split("  ")
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            sys.exit(f"{folder / name}: changed since it was exported; nothing is decided")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest, onnxruntime.InferenceSession(folder / "policy.onnx", providers=["CPUExecutionProvider"])


def main(argv: list[str]) -> int:
    """Decide for every row; a market outside the range seen in training is taken at its end, other rows outside are left to the operator."""
    folder, path = map(Path, argv)
    manifest, session = load(folder)
    entries = manifest["observations"]
    low, high = (np.array([entry[edge] for entry in entries], np.float32) for edge in ("trained_low", "trained_high"))
    is_market = np.array([entry["group"] in ("market", "forecast") for entry in entries])
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([*(action["name"] for action in manifest["actions"]), "outside"])
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = np.array([row[entry["name"]] for entry in entries], np.float32)
            if not np.isfinite(values).all():
                sys.exit(f"{path}: a value is missing or not a number; nothing is decided")
            far = ((values < low) | (values > high)) & ~is_market
            values = np.where(is_market, np.clip(values, low, high), values)
            setpoint_mhz, _, _ = session.run(None, {session.get_inputs()[0].name: values[None]})
            names = " ".join(entries[k]["name"] for k in np.flatnonzero(far))
            out.writerow([*("" if names else f"{mhz:g}" for mhz in setpoint_mhz[0]), names])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
