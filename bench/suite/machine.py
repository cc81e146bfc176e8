"""What the figures were measured on."""

import os
import platform
import shutil
import subprocess


def _first_line(command):
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.splitlines()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next((line.strip() for line in lines if line.strip()), None)


def _field(path, key):
    try:
        with open(path) as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return None


def file_system(path):
    """Type and options of what a directory is on."""
    best = ("", "unknown")
    try:
        with open("/proc/mounts") as file:
            for line in file:
                words = line.split()
                inside = (os.path.realpath(path) + "/").startswith(words[1].rstrip("/") + "/")
                if inside and len(words[1]) >= len(best[0]):
                    best = (words[1], f"{words[2]} ({words[3]})")
    except OSError:
        pass
    return best[1]


def load_average():
    return round(os.getloadavg()[0], 2)


def facts(source, programs, roots):
    kib = (_field("/proc/meminfo", "MemTotal") or "0").split()[0]
    settings = {name: value for name, value in sorted(os.environ.items())
                if name.startswith(("BENCHFS_", "UCX_")) and name not in ("BENCHFS_REGISTRY", "BENCHFS_SERVERS")}
    found = {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(kib) / (1 << 20), 1),
        "system": f"{platform.system()} {platform.release()}",
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME")
        if os.path.exists("/etc/os-release") else None,
        "compiler": _first_line(["gcc", "--version"]),
        "ucx": _first_line(["ucx_info", "-v"]),
        "mpi": _first_line(["mpichversion"]) or _first_line([programs["mpiexec"], "--version"]),
        "liburing": _first_line(["pkg-config", "--modversion", "liburing"]),
        "benchfs": _first_line([programs["benchfs"], "--version"]),
        "commit": _first_line(["git", "-C", source, "log", "-1", "--format=%h %cs %s"]) if shutil.which("git") else None,
        "load_average_at_start": load_average(),
        "settings": settings,
    }
    for name, path in roots.items():
        found[f"file system of {name}"] = f"{path}: {file_system(path)}"
    return found
