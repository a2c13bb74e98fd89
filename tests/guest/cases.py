"""Running a guest program as a test case: shared by programs/run and real/run."""

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GUEST = Path(__file__).resolve().parent
ROOT = GUEST.parent.parent
TARGET = Path(os.environ.get("GUEST_DIR", ROOT / "target" / "guest"))

# What a guest sees of the environment: the same on every machine.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "TZ": "UTC", "GUEST_TEST": "a value"}


def arguments(description):
    """The command line that both runners share, to which each adds its own options."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("emu", nargs="?", help="the emulator's binary (not with --qemu and the like)")
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases to run (default: all); * and ? match")
    parser.add_argument("--engine", help="tiered, interp or jit")
    parser.add_argument("--diff", action="store_true", help="EMU diff instead of EMU run; print how much was compared")
    parser.add_argument("--qemu", action="store_true", help="run under the QEMU of `prepare qemu` instead")
    parser.add_argument("--timeout", type=float, default=60, help="seconds a case may take")
    parser.add_argument("--failing", action="store_true", help="print only the cases that fail")
    return parser


def finish_arguments(parser, args):
    """Without an emulator of ours, the first positional argument is a case's name."""
    if args.qemu or getattr(args, "native", False) or getattr(args, "chroot", False):
        args.names = ([args.emu] if args.emu else []) + args.names
        args.emu = None
    elif not args.emu:
        parser.error("which emulator? (or --qemu)")
    else:
        args.emu = os.path.abspath(args.emu)
    return args


def command_of(args):
    """The emulator and its options, as the arguments want it."""
    return [args.emu, "diff" if args.diff else "run"] + (["--engine", args.engine] if args.engine else [])


# Targets of which QEMU's binary has another name. It chooses the processor by the ELF header, release 6 included.
QEMU = {"rv32": "riscv32", "mipsisa32r6el": "mipsel", "mipsisa64r6el": "mips64el"}


def qemu_of(target):
    """QEMU's binary for a target; what comes after the first "-" of its name does not matter."""
    target = target.split("-")[0]
    return need(TARGET / "qemu" / f"qemu-{QEMU.get(target, target)}", "qemu")


# The class and the machine of a target's ELF header.
HEADERS = {"riscv64": (2, 0xF3), "mipsel": (1, 8), "mips64el": (2, 8)}


def binfmt(target):
    """What to write into binfmt_misc's `register` to have the kernel give the target's programs to QEMU."""
    size, machine = HEADERS[target]
    magic = [*b"\x7fELF", size, 1, 1, 0, *[0] * 8, 2, 0, machine, 0]
    # Any system's ABI and its version; type 2 or 3.
    mask = [255] * 7 + [0, 0] + [255] * 7 + [0xFE] + [255] * 3
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in field) for field in (magic, mask))
    return f":{target}:M::{magic}:{mask}:{qemu_of(target)}:POCF"


def execute(command, *, stdin=b"", environment=None, timeout=60, prepare=None, user=None):
    """Run in a scratch directory and a process group of its own, which is killed at the end or on time-out.

    `prepare` fills the directory; a process that it returns is ended as well. `user` is who runs the command if we are root.
    Returns (stdout, stderr, status), where status is a number, a signal's name, or "timeout".
    """
    scratch = Path(tempfile.mkdtemp(prefix="emu-guest-"))
    beside = None
    if os.geteuid() != 0:
        user = None
    try:
        if prepare:
            beside = prepare(scratch)
        if user is not None:
            os.chown(scratch, user, user)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            process = subprocess.Popen(
                command, stdin=given, stdout=out, stderr=err, cwd=scratch, env=environment or ENVIRONMENT,
                start_new_session=True, preexec_fn=no_core_dumps, user=user, group=user, extra_groups=None if user is None else [])
            try:
                code = process.wait(timeout)
                status = signal.Signals(-code).name if code < 0 else code
            except subprocess.TimeoutExpired:
                status = "timeout"
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            out.seek(0)
            err.seek(0)
            return out.read(), err.read(), status
    finally:
        if beside:
            beside.kill()
            beside.wait()
        shutil.rmtree(scratch, ignore_errors=True)


def no_core_dumps():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Report:
    """One line a case, what went wrong below it, and the closing line."""

    def __init__(self, failing_only=False):
        self.failing_only = failing_only
        self.passed = self.failed = self.skipped = self.known = 0

    def skip(self, name, reason):
        self.skipped += 1
        if not self.failing_only:
            print(f"skip  {name}: {reason}", flush=True)

    def case(self, name, result, expected_out, expected_status, seconds, known=None):
        """`known` is why the case is known to fail, which is always said."""
        out, err, status = result
        problems = []
        if status != expected_status:
            problems.append(f"ended with {status}, expected {expected_status}")
        if out != expected_out:
            problems.append("stdout differs: " + first_difference(out, expected_out))
        if known and problems:
            self.known += 1
            print(f"known {name} ({seconds:.2f} s): {known}", flush=True)
            return
        if known:
            problems.append("passed, but is listed as failing")
        if not problems:
            self.passed += 1
            if not self.failing_only:
                print(f"ok    {name} ({seconds:.2f} s){self.compared(err)}", flush=True)
            return
        self.failed += 1
        print(f"FAIL  {name} ({seconds:.2f} s)")
        for problem in problems:
            print(f"      {problem}")
        for line in err.decode(errors="replace").splitlines()[-6:]:
            print(f"      stderr: {line[:200]}")
        sys.stdout.flush()

    @staticmethod
    def compared(err):
        """What `emu diff` says at its end."""
        last = err.decode(errors="replace").splitlines()[-1:]
        return "".join(line.removeprefix("emu diff") for line in last if line.startswith("emu diff: "))

    def close(self):
        known = f", {self.known} known failures" if self.known else ""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{known}{skipped}")
        return 1 if self.failed or not self.passed else 0


def first_difference(got, expected):
    got, expected = got.splitlines(), expected.splitlines()
    for i in range(max(len(got), len(expected))):
        a = got[i] if i < len(got) else None
        b = expected[i] if i < len(expected) else None
        if a != b:
            show = lambda line: "end of output" if line is None else repr(line.decode(errors="replace")[:160])
            return f"line {i + 1} is {show(a)}, expected {show(b)}"
    return "in line ends only"


def timed(function):
    start = time.monotonic()
    result = function()
    return result, time.monotonic() - start


def need(path, step):
    if not Path(path).exists():
        sys.exit(f"{path} is missing: run tests/guest/prepare {step}")
    return str(path)
