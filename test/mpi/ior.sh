#!/bin/bash
# IOR and mdtest on BenchFS: ior_patches/add_to_ior adds the backend to a copy of an IOR source tree, which
# is then built, and run with 2 ranks on 2 servers and on 1; all data are verified. IOR_SOURCE names the
# tree, or a tarball of it; without it, only the script is tried, on files that have what it looks for.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_servers
with_library linked
add_to_ior=$top_srcdir/ior_patches/add_to_ior
trap 'benchfs stop --registry "$work/one" >/dev/null 2>&1; rm -rf "$work"' EXIT

# ---- the script ---------------------------------------------------------------------------------------
# fake DIRECTORY VERSION: the lines of an IOR tree that matter to it.
fake() {
    mkdir -p "$1/src"
    printf 'Package: ior\nVersion: %s\n' "$2" >"$1/META"
    printf 'AC_INIT\nAC_CONFIG_FILES([Makefile\n    src/Makefile])\nAC_OUTPUT\n' >"$1/configure.ac"
    # shellcheck disable=SC2016
    printf 'extraSOURCES = aiori.c\nior_SOURCES  += $(extraSOURCES)\n' >"$1/src/Makefile.am"
    printf '        NULL\nior_aiori_t *available_aiori[] = {\n        &posix_aiori,\n        NULL\n};\n        NULL\n' \
        >"$1/src/aiori.c"
    printf '%s\n' 'if (((strcasecmp(test->api, "POSIX") != 0)' '    && (strcasecmp(test->api, "DFS") != 0)) && test->fsync)' \
        >"$1/src/ior.c"
    printf '%s\n' 'void (*close)(aiori_fd_t *);' 'void (*remove)(char *);' \
        'const ior_aiori_t *aiori_select (const char *api);' >"$1/src/aiori.h"
}

# says STATUS TEXT COMMAND...: it ends with that status and says the text.
says() {
    local want=$1 text=$2 status=0
    shift 2
    "$@" >"$work/output" 2>&1 || status=$?
    [ $status -eq "$want" ] && grep -qF -- "$text" "$work/output"
}

tree=$work/fake
fake "$tree" 4.0.0
says 0 "has the BenchFS backend now" "$add_to_ior" "$tree" &&
    [ "$(grep -A1 'USE_BENCHFS' "$tree/src/aiori.c" | tail -n 1 | tr -d ' ')" = '&benchfs_aiori,' ] &&
    [ "$(grep -c BENCHFS "$tree/src/aiori.c")" = 1 ] && grep -q 'aiori-BENCHFS.c' "$tree/src/Makefile.am" &&
    [ "$(grep -n BENCHFS "$tree/src/ior.c")" = '2:            && (strcasecmp(test->api, "BENCHFS") != 0)' ] &&
    grep -q 'with-benchfs' "$tree/configure.ac" && cmp "$tree/src/aiori-BENCHFS.c" "${add_to_ior%/*}/aiori-BENCHFS.c"
result $? "add_to_ior: adds to a tree"
cp -r "$tree" "$work/once"
echo old >"$tree/src/aiori-BENCHFS.c"
says 0 "had the BenchFS backend" "$add_to_ior" "$tree" && diff -r "$tree" "$work/once" >>"$work/output"
result $? "add_to_ior: a second time, only the backend is brought up to date"

# refuses TEXT WHAT: the tree stays as it is.
refuses() {
    rm -rf "$work/copy"
    cp -r "$tree" "$work/copy"
    says 1 "$1" "$add_to_ior" "$tree" && diff -r "$tree" "$work/copy" >>"$work/output"
    result $? "add_to_ior: refuses $2"
    rm -rf "$tree"
}
rm -rf "$tree"
fake "$tree" 3.3.0
refuses "IOR 3.3.0; this backend needs 4.0.0 or newer" "an older version"
fake "$tree" 4.0.0
echo 'Package: something' >"$tree/META"
refuses "not a source tree of IOR" "what is no IOR"
fake "$tree" 4.0.0
echo >"$tree/src/aiori.c"
refuses "src/aiori.c has not exactly one line" "a tree that it does not know"
fake "$tree" 4.0.0
sed -i /remove/d "$tree/src/aiori.h"
refuses "the member after 'close' is neither" "a tree with another table of functions"
says 2 "Usage: add_to_ior IOR_SOURCE" "$add_to_ior"
result $? "add_to_ior: says how to use it"

if [ -z "${IOR_SOURCE:-}" ]; then
    skip "IOR and mdtest" "IOR_SOURCE names no source tree of IOR 4"
    finish
fi

# ---- build --------------------------------------------------------------------------------------------
ior=$work/ior
mkdir -p "$ior"
if [ -d "$IOR_SOURCE" ]; then
    # Without what a build there has left.
    tar -cf - -C "$IOR_SOURCE" --exclude=.git --exclude='*.o' --exclude='*.a' --exclude=config.status . |
        tar -xf - -C "$ior" || bail_out "IOR_SOURCE: cannot copy $IOR_SOURCE"
else
    tar -xf "$IOR_SOURCE" -C "$ior" --strip-components=1 || bail_out "IOR_SOURCE: cannot unpack $IOR_SOURCE"
fi
chmod -R u+w "$ior"
if [ -n "${CORE_LIBDIR:-}" ]; then
    # Not installed yet: what benchfs.pc will say.
    printf '%s\n' "libdir=$CORE_LIBDIR" "Name: BenchFS" "Description: not installed" "Version: 0" \
        "Cflags: -I$top_srcdir/libbenchfs_core/include" "Libs: -L$CORE_LIBDIR -lbenchfs_core" >"$work/benchfs.pc"
    export PKG_CONFIG_PATH=$work${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
fi
build() {
    "$add_to_ior" "$ior" && cd "$ior" && ./bootstrap && ./configure CC="$MPICC" CFLAGS="-g -O1 -Wall" &&
        rm -f src/{ior,mdtest} && make -C src libaiori.a ior mdtest
}
(build) >"$work/output" 2>&1
result $? "IOR $(sed -n 's/^Version: *//p' "$ior/META"): builds with the backend"
if [ ! -x "$ior/src/ior" ] || [ ! -x "$ior/src/mdtest" ]; then finish; fi
! grep -A5 'aiori-BENCHFS.c:.*warning' "$work/output"
result $? "the backend compiles without a warning"
PATH=$ior/src:$PATH

# ---- run ----------------------------------------------------------------------------------------------
quiet() {
    ! grep -E 'WARNING|ERROR' "$work/output"
}

# ior_passes TEXT ARGUMENT...: IOR's exit status counts wrong bytes.
ior_passes() {
    local text=$1
    shift
    mpirun 2 ior -a BENCHFS --warningAsErrors "${cluster[@]}" "$@" && quiet
    result $? "ior: $servers, $text ($took s)"
}

# mdtest_passes TEXT PHASES ARGUMENT...: PHASES, an extended regular expression: each of them, joined by
# "|", has a rate. mdtest does not end with an error for one.
mdtest_passes() {
    local text=$1 phases=$2 phase missing=0
    shift 2
    mpirun 2 mdtest -a BENCHFS --warningAsErrors "${cluster[@]}" "$@" && quiet || missing=1
    while read -r phase; do
        awk -v phase="$phase " 'index($0, phase) && !/phases/ { for (i = 3; i <= NF; i++) if ($i + 0 > 0) ok = 1 }
            END { exit !ok }' "$work/output" || missing=1
    done < <(tr '|' '\n' <<<"$phases")
    result $missing "mdtest: $servers, $text ($took s)"
}

file_phases='File creation|File stat|File read|File removal'
directory_phases='Directory creation|Directory stat|Directory removal'
tree_phases='Tree creation|Tree removal'
echo '#include <benchfs.h>' >"$work/rename.c"
echo 'int main(void) { return benchfs_rename(0, "", "", BENCHFS_RENAME_NOREPLACE); }' >>"$work/rename.c"
# shellcheck disable=SC2046
renames=$("$MPICC" $(pkg-config --cflags benchfs) -c -o "$work/rename.o" "$work/rename.c" 2>/dev/null && echo yes)

all() {
    ior_passes "one file, in segments" -w -W -r -R -C -o benchfs:/shared -b 1m -t 256k -s 4
    ior_passes "one file each" -w -W -r -R -C -F -o /each -b 2m -t 1m -s 2 -e
    ior_passes "random offsets, small chunks" -w -W -r -R -z --random-offset-seed=5 -o benchfs:/random -b 1m -t 64k -s 2 \
        --benchfs.chunk=64k
    ior_passes "odd sizes" -w -W -r -R -C -o /odd -b 999608 -t 999608 -s 3
    ior_passes "small odd transfers, synced one by one" -w -W -r -R -F -Y -o benchfs:/small -b 104312 -t 8024
    ior_passes "twice over the same file" -w -r -R -E -k -i 2 -o /twice -b 1m -t 1m
    ior_passes "a directory of its own for every file" -w -r -R -F -u -o benchfs:/deep/er/unique -b 64k -t 64k

    mdtest_passes "easy" "$file_phases|$tree_phases" -F -n 200 -u -z 0 -w 1 -e 1 -d benchfs:/easy
    mdtest_passes "hard" "$file_phases|$tree_phases" -F -n 200 -t -w 3901 -e 3901 -X --verify-write -N 1 -d /a/b/hard
    # Without phases named, mdtest renames directories as well.
    if [ -n "$renames" ]; then
        mdtest_passes "files and directories in a tree" "$file_phases|$directory_phases|Directory rename|$tree_phases" \
            -n 42 -z 2 -b 2 -u -w 10 -e 10 -d benchfs:/tree
        mdtest_passes "directories" "$directory_phases|Directory rename" -D -n 100 -w 1 -e 1 -d benchfs:/dirs
    else
        mdtest_passes "files and directories in a tree" "$file_phases|$directory_phases|$tree_phases" \
            -n 42 -z 2 -b 2 -u -w 10 -e 10 -C -T -E -r -d benchfs:/tree
        skip "mdtest: $servers, rename" "benchfs.h has no benchfs_rename"
    fi
    mdtest_passes "files at the leaves" "$file_phases|$tree_phases" -F -L -I 10 -z 2 -b 3 -w 100 -e 100 -X -d /leaves
    mdtest_passes "mknod, sync, random stat" 'File creation|File stat|File removal' \
        -F -n 50 -k -Y -R -C -T -r -d benchfs:/nodes
    mdtest_passes "files that rank 0 creates, synced" "$file_phases" -F -n 50 -c -w 10 -e 10 -y -d /collective
    mdtest_passes "one file of all ranks" 'File creation|File stat|File read' -F -S -n 5 -w 100 -e 100 -d benchfs:/one
    # IOR removes what it made; and mdtest all but the directory that it was to work in.
    benchfs find "${registry[@]}" / --type f >"$work/output" 2>&1 && ! grep -v '^/twice$' "$work/output"
    result $? "$servers: no file is left behind"
}

servers="2 servers" cluster=() registry=()
all

# Where a file has other bytes, it is told.
head -c 1048576 /dev/zero >"$work/zeros"
mpirun 2 ior -a BENCHFS -w -k -G 7 -o /twice -b 512k -t 64k && mpirun 2 ior -a BENCHFS -r -R -k -G 7 -o /twice -b 512k -t 64k &&
    quiet && benchfs put "$work/zeros" /twice >"$work/output" 2>&1 &&
    ! mpirun 2 ior -a BENCHFS -r -R -k -G 7 -o /twice -b 512k -t 64k && grep -qi 'incorrect data' "$work/output"
result $? "ior: wrong bytes are found"
! mpirun 1 ior -a BENCHFS -o /f --benchfs.chunk=100k && grep -q 'benchfs.chunk: 102400 is no power of two' "$work/output"
result $? "ior: a chunk that cannot be is an error"
! mpirun 1 mdtest -a BENCHFS -n 1 -d /d --benchfs.cluster="$work/nowhere" &&
    grep -q 'cannot connect to BenchFS: .*nowhere' "$work/output"
result $? "mdtest: so is a cluster that is not there"
! mpirun 1 mdtest -a BENCHFS -E -F -n 1 -d /nothing && grep -q 'cannot open /nothing/.*: no such file' "$work/output"
result $? "mdtest: and a file that is not there"

servers="1 server" cluster=(--benchfs.cluster="$work/one") registry=(--registry "$work/one")
mkdir -m 700 "$work/one"
benchfs start -n 1 --registry "$work/one" --data-dir "$work/data" >"$work/output" 2>&1
result $? "a cluster of one server"
all
finish
