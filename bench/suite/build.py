"""Builds what is measured: the project with -O2, the loads, and IOR with the backend. Says where everything is."""

import os
import shutil
import subprocess

from .run import Failed, last_lines

LOADS = {"data": ["data.c", "backend.c", "load.c"], "meta": ["meta.c", "load.c"],
         "overlap": ["overlap.c", "backend.c", "load.c"], "shared": ["shared.c", "load.c"]}
ALONE = ("count", "scale")  # without MPI


def step(log, command, directory, environment=None, seconds=1800):
    """One command whose output goes to a log."""
    with open(log, "a") as output:
        try:
            status = subprocess.run(command, cwd=directory, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                    env={**os.environ, **(environment or {})}, timeout=seconds).returncode
        except FileNotFoundError:
            raise Failed(f"{command[0]}: not found") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(command[:3])}: not finished in {seconds} s; see {log}") from None
    if status != 0:
        with open(log, errors="replace") as output:
            raise Failed(f"{' '.join(command[:3])} failed: {last_lines(output.read())}; see {log}")


def project(source, build, say):
    """The project, built in `build` with -O2 -g, by CC and CXX if they are set."""
    log = os.path.join(build, "bench-build.log")
    os.makedirs(build, exist_ok=True)
    open(log, "w").close()
    if os.path.exists(os.path.join(source, "config.status")):
        raise Failed("this source folder is configured itself; run 'make distclean' in it first")
    step(log, ["./bootstrap"], source)  # files may have come since; it rewrites nothing that is up to date
    if not os.path.exists(os.path.join(build, "config.status")):
        say(f"building in {build}: minutes, the first time")
        flags = [f"{name}={os.environ[name]}" for name in ("CC", "CXX") if os.environ.get(name)]
        step(log, [os.path.join(source, "configure"), "CFLAGS=-O2 -g", "CXXFLAGS=-O2 -g", *flags], build)
    for folder in ("libbenchfs_core", "servers", "tools", "adio_benchfs"):
        step(log, ["make", f"-j{os.cpu_count() or 1}"], os.path.join(build, folder))


def _flags(packages):
    try:
        return subprocess.run(["pkg-config", "--cflags", "--libs", *packages], check=True, capture_output=True,
                              text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        raise Failed(f"pkg-config knows no {' '.join(packages)}") from None


def loads(source, build, into):
    """Compiles the loads against a build folder; gives the paths of all programs."""
    core, driver = os.path.join(build, "libbenchfs_core/.libs"), os.path.join(build, "adio_benchfs/.libs")
    for library in (f"{core}/libbenchfs_core.so", f"{driver}/libbenchfs_mpio.so"):
        if not os.path.exists(library):
            raise Failed(f"{library}: not there; is {build} a complete build with MPI?")
    os.makedirs(into, exist_ok=True)
    log = os.path.join(into, "loads.log")
    open(log, "w").close()
    folder = os.path.join(source, "bench")
    common = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", "-Werror",
              f"-I{source}/libbenchfs_core/include"]
    link = [f"-L{core}", f"-Wl,-rpath,{core}", "-lbenchfs_core"]
    # The driver first: its MPI_File functions come before MPI's.
    mpio = [f"{driver}/libbenchfs_mpio.so", f"-Wl,-rpath,{driver}"]
    mpicc = shutil.which(os.environ.get("MPICC", "mpicc"))
    mpiexec = shutil.which(os.environ.get("MPIEXEC", "mpiexec"))
    if mpicc is None or mpiexec is None:
        raise Failed("mpicc or mpiexec: not found; MPICC and MPIEXEC name them")
    programs = {"benchfs": os.path.join(build, "tools/benchfs"), "mpiexec": mpiexec,
                "benchfsd": os.path.join(build, "servers/benchfsd"), "core": core}
    for name, files in LOADS.items():
        programs[name] = os.path.join(into, name)
        step(log, [mpicc, *common, "-o", programs[name], *(os.path.join(folder, file) for file in files), *mpio, *link,
                   *_flags(["liburing"])], folder)
    for name in ALONE:
        programs[name] = os.path.join(into, name)
        step(log, [os.environ.get("BENCH_CC", "gcc"), *common, "-o", programs[name], f"{folder}/{name}.c", *link], folder)
    return programs


def ior(source, ior_source, programs, into):
    """IOR and mdtest with the backend, built from a copy of a source tree or from a tarball; gives their folder."""
    tree, log = os.path.join(into, "ior"), os.path.join(into, "ior.log")
    done = os.path.join(tree, ".built-from")
    stamp = f"{os.path.abspath(ior_source)} {os.path.getmtime(ior_source):.0f} {programs['core']}\n"
    if os.path.exists(done):
        with open(done) as file:
            if file.read() == stamp:
                shutil.copy(os.path.join(source, "ior_patches/aiori-BENCHFS.c"), os.path.join(tree, "src"))
                step(log, ["make", "-C", "src", "ior", "mdtest"], tree)
                return os.path.join(tree, "src")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    open(log, "w").close()
    if os.path.isdir(ior_source):
        archive = subprocess.Popen(["tar", "-cf", "-", "--exclude=.git", "--exclude=*.o", "--exclude=*.a",
                                    "--exclude=config.status", "-C", ior_source, "."], stdout=subprocess.PIPE)
        unpacked = subprocess.run(["tar", "-xf", "-", "-C", tree], stdin=archive.stdout)
        if archive.wait() != 0 or unpacked.returncode != 0:
            raise Failed(f"IOR_SOURCE: cannot copy {ior_source}")
    else:
        step(log, ["tar", "-xf", ior_source, "-C", tree, "--strip-components=1"], into)
    with open(os.path.join(into, "benchfs.pc"), "w") as file:
        file.write(f"libdir={programs['core']}\nName: BenchFS\nDescription: not installed\nVersion: 0\n"
                   f"Cflags: -I{source}/libbenchfs_core/include\nLibs: -L{programs['core']} -lbenchfs_core\n")
    path = os.pathsep.join(filter(None, [into, os.environ.get("PKG_CONFIG_PATH")]))
    environment = {"PKG_CONFIG_PATH": path}
    step(log, [os.path.join(source, "ior_patches/add_to_ior"), tree], tree)
    step(log, ["./bootstrap"], tree, environment)
    step(log, ["./configure", f"CC={os.environ.get('MPICC', 'mpicc')}", "CFLAGS=-O2 -g"], tree, environment)
    for name in ("ior", "mdtest"):
        if os.path.exists(os.path.join(tree, "src", name)):
            os.remove(os.path.join(tree, "src", name))
    step(log, ["make", "-C", "src", "libaiori.a", "ior", "mdtest"], tree)
    with open(done, "w") as file:
        file.write(stamp)
    return os.path.join(tree, "src")
