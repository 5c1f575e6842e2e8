"""Programs that run while something is measured, and that never outlive the measurement."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
# Below the ports that the kernel gives to outgoing sockets, or one of those could take it first.
PORTS = range(20_000, 30_000)
# Seconds for a program to end by itself.
PATIENCE = 10

_running: list["Process"] = []
_next_port = os.getpid() % len(PORTS)


class Process:
    """A program in a session of its own, with its output in a file."""

    def __init__(self, command: list[str], output: Path, cores: str | None = None, env: dict[str, str] | None = None):
        # The kernel ends it if this program is killed.
        tied = ["setpriv", "--pdeathsig", "KILL", "--"]
        pinned = ["taskset", "-c", cores] if cores else []
        with output.open("ab") as file:
            self._child = subprocess.Popen(
                tied + pinned + command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=output.parent,
                env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
                start_new_session=True,
            )
        self.pid = self._child.pid
        _running.append(self)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ended(self) -> bool:
        return self._child.poll() is not None

    def wait(self, seconds: float) -> None:
        """Waits for its end; raises subprocess.TimeoutExpired."""
        self._child.wait(seconds)

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def stop(self) -> None:
        """Ends it and whatever it started."""
        if not self.ended():
            self._child.terminate()
            try:
                self._child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                pass
        for pid in self._session():
            _kill(pid)
        self._child.wait()
        if self in _running:
            _running.remove(self)

    def cpu_seconds(self) -> float:
        """User and system time so far, that of its children included."""
        ticks = 0
        for pid in self._session():
            fields = _stat(pid)
            ticks += sum(int(field) for field in fields[11:15])
        return ticks * TICK

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def _session(self) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if (fields := _stat(pid)) and fields[3] == str(self.pid)]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the program's name; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def stop_all() -> None:
    """Ends whatever still runs."""
    for process in list(_running):
        process.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that is free for UDP and TCP; no two calls return the same."""
    global _next_port
    for _ in PORTS:
        port = PORTS[_next_port]
        _next_port = (_next_port + 1) % len(PORTS)
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
            return port
        except OSError:
            continue
    raise OSError("no free port on 127.0.0.1")
