"""What the runners of benches share: timing a command, and means."""

import math
import resource
import subprocess
import sys
import time


def timed(command, timeout):
    """(processor seconds, wall-clock seconds, output) of one run; processor time is user + system of all its processes."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    except subprocess.TimeoutExpired:
        sys.exit(f"{' '.join(command)}: no end after {timeout} s")
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, done.stdout


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")
