"""What UCX does without a file system: the limits of this machine, by ucx_perftest on the loopback device."""

import shutil
import socket
import subprocess
import time

from . import stats


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _perftest(transport, test, size, count):
    port = str(_free_port())
    environment = {"UCX_TLS": transport, "UCX_NET_DEVICES": "lo", "PATH": "/usr/bin:/bin:/usr/local/bin"}
    server = subprocess.Popen(["ucx_perftest", "-p", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              stdin=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(50):
            client = subprocess.run(["ucx_perftest", "127.0.0.1", "-p", port, "-t", test, "-s", str(size), "-n",
                                     str(count), "-w", "100", "-f"], capture_output=True, text=True, timeout=60,
                                    env=environment)
            found = stats.perftest_rate(client.stdout)
            if found is not None or server.poll() is not None:
                return found
            time.sleep(0.1)
        return None
    except subprocess.TimeoutExpired:
        return None
    finally:
        server.kill()
        server.wait()


def measure(say):
    """([{what, unit, value, text}], a word why some are missing or None)"""
    if shutil.which("ucx_perftest") is None:
        return [], "no ucx_perftest here (Debian package ucx-utils)"
    rows, missing = [], []
    for name, transport in (("shared memory", "posix,cma,self"), ("tcp on loopback", "tcp,self")):
        for test, size, count, unit in (("ucp_am_lat", 8, 20000, "us one way"), ("ucp_am_lat", 4096, 20000, "us one way"),
                                        ("ucp_am_bw", 1 << 20, 2000, "MiB/s")):
            what = f"UCX active messages of {size} bytes, {name}"
            found = _perftest(transport, test, size, count)
            if found is None:
                missing.append(what)
                continue
            value = found[0] if unit.startswith("us") else found[1]
            rows.append({"what": what, "unit": unit, "value": value, "text": f"{value:,.4g} {unit}"})
            say(f"limit: {what}: {rows[-1]['text']}")
    return rows, "ucx_perftest gave no figure: " + ", ".join(missing) if missing else None
