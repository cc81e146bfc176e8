#!/bin/bash
# MPICH's own tests of MPI-IO, from its source and unchanged but for what is said below: test/mpi/io and
# errors/io, and those in Fortran. Their file names are fixed, so ROMIO_FSTYPE_FORCE sends them to BenchFS.
# Each runs with the ranks of MPICH's testlist: on the local file system with the MPI library alone, which is the
# control; on BenchFS with the library preloaded; and, those in Fortran and of errors, with the library linked first.
# What fails in the control too is a failure of MPICH, and TODO in TAP. A test leaves on BenchFS the files
# that it leaves in the control, and none in its working directory.
# Usage: mpich.sh [FOLDER/NAME ...]        (default: all)
# MPICH_TEST_FORTRAN: which of f77 (default), f90 and f08. MPICH_TEST_LINKED=yes: all of them also linked.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
not_brief
need_servers
take_link_words
wanted=" $* "

take_mpich_source test/mpi
source=$mpich/test/mpi
build=$work/build
mkdir -p "$build/include"

# ---- build --------------------------------------------------------------------------------------------
# What MPICH's configure would find out, as far as these tests ask.
cat >"$build/include/mpitestconf.h" <<'END'
#define HAVE_GETRUSAGE 1
#define HAVE_LONG_LONG 1
#define HAVE_MPI_IO 1
#define HAVE_MPI_WIN_CREATE 1
#define HAVE_STDARG_H 1
#define HAVE_STDLIB_H 1
#define HAVE_STRING_H 1
#define HAVE_SYS_RESOURCE_H 1
#define HAVE_SYS_TIME_H 1
#define HAVE_UNISTD_H 1
#define F77_NAME_LOWER_USCORE 1
#define THREAD_PACKAGE_NAME THREAD_PACKAGE_NONE
END
for header in f77/io/ioaint f77/io/iodisp f77/io/iooffset errors/f77/io/addsize; do
    sed -E 's/@F77_MPI_(OFFSET|ADDRESS)@/integer*8/' "$source/$header.h.in" >"$build/include/${header##*/}.h"
done

# In a folder's build directory: some include "../../include/mpitestconf.h".
c() {
    "$MPICC" -O1 -w -I. -I"$build/include" -I"$source/include" "${@:3}" -c -o "$1" "$2"
}

fortran() {
    "$MPIFORT" -w -fallow-argument-mismatch -I"$build/include" -c -o "$1" "$2"
}

# generate LANGUAGE: in the working directory, the Fortran tests that have one harness for all of them.
# It has pairs of a size and a count: here the smallest and the largest of its
# five sizes, with fewer calls.
generate() {
    local from=$source/$1/io
    sed -e 's/maxfparm=5/maxfparm=2/' \
        -e 's/fparms\/1,4000,  4000,8,  4096,8,  64000,8,  65536,8/fparms\/1,9,  65536,2/' \
        "$source/${1/f90/f77}/io/ioharness.tlt" >ioharness.tlt
    grep -q 'fparms/1,9,' ioharness.tlt || return
    if [ "$1" = f90 ]; then
        # As Makefile.ap there has it.
        from=.
        sed -e 's/filename="\(.*\)f.f"/filename="\1f90.f90"/g' \
            -e 's/include.*iooffset.*/integer (kind=MPI_OFFSET_KIND)offset/g' \
            "$source/f77/io/ioharness.defn" >ioharness.defn
        sed -e 's/include.*mpif.*/use mpi/g' -e 's/fheader/f90header/g' -e 's/^C/!/g' \
            -e '/implicit *none/d' -i ioharness.tlt
    fi
    sed 1d "$source/maint/testmerge.in" |
        perl - -defn="$source/maint/common.defn" "$from/ioharness.defn" ioharness.tlt
}

# compile FOLDER NAME: the test as ./NAME and, with the library linked first, as ./NAME.linked.
compile() {
    local folder=$1 name=$2 file from linker=$MPICC options=()
    local objects=("$name.o" "$build/mtest.o" "$build/mtest_common.o" "$build/mtest_single.o")
    for from in . "$source/$folder"; do
        for file in "$from/$name".{c,f,f90}; do
            [ ! -f "$file" ] || break 2
        done
    done
    case $file in
    *.c)
        # It removes its file with unlink(), which the header makes an MPI_File_delete().
        [ "$name" != simple_collective ] || options=(-include "$top_srcdir/test/mpi/posix_over_mpi.h")
        c "$name.o" "$file" "${options[@]}" || return
        ;;
    *)
        fortran "$name.o" "$file" || return
        linker=$MPIFORT objects=("$name.o" mtest.o)
        file=$(echo "$source/$folder"/c2f*2cio.c)
        if [ "${name#c2f2cio}" != "$name" ]; then
            c c2f.o "$file" || return
            objects+=(c2f.o)
        fi
        ;;
    esac
    "$linker" -o "$name" "${objects[@]}" &&
        "$linker" -o "$name.linked" "${objects[@]}" "${link_words[@]}"
}

# ---- run ----------------------------------------------------------------------------------------------
# As MPICH's runtests has it: a test says "No Errors" and no more. But for what the driver says of a
# hint, which ROMIO ignores without a word.
says_no_errors() {
    [ "$(sed '/^benchfs: .*: hint .* is ignored: /d' "$work/output" | tr -d ' \n')" = NoErrors ]
}

# once WAY RANKS PROGRAM ARGUMENT...: one run, in an empty working directory.
once() {
    local way=$1 ranks=$2 program=$3
    shift 3
    rm -rf "$work/cwd"
    mkdir "$work/cwd"
    cd "$work/cwd" || return
    with_library "$way"
    [ "$way" != linked ] || program=$program.linked
    set -- "$program" "$@"
    if [[ ${program##*/} == zero_count* ]]; then
        # The file that it reads has the name that it was started as.
        # shellcheck disable=SC2016
        set -- bash -c 'exec -a testfile "$0"' "$@"
        if [ "$way" = control ]; then cp "$program" testfile; else "$work/files" make testfile; fi
    fi
    [ "$way" = control ] || set -- env ROMIO_FSTYPE_FORCE=benchfs: "$@"
    mpirun "$ranks" "$@" && says_no_errors
}

# left_behind WAY: what a test leaves in the control it leaves on BenchFS, where it is removed.
left_behind() {
    if [ "$1" = control ]; then
        left=(*)
    elif [ "$(echo *)" != '*' ]; then
        echo "on the local file system: $(echo *)" >>"$work/output"
        return 1
    elif [ "${left[0]}" != '*' ]; then
        "$work/files" remove "${left[@]}" >>"$work/output" 2>&1
    fi
}

# test_one FOLDER NAME RANKS KEY=VALUE...: a line of a testlist.
test_one() {
    local folder=$1 name=$2 ranks=$3 directory=$PWD option way failed=0 control='' times='' arguments=()
    local ways="control preloaded"
    # How the driver is found is the same for all in C; romio.sh links such programs, too.
    [ "$folder" = io ] && [ "${MPICH_TEST_LINKED:-}" != yes ] || ways="$ways linked"
    shift 3
    for option; do
        case $option in
        arg=*) arguments+=("${option#arg=}") ;;
        mem=*)
            # In GB, and another time for the servers, whose files may be in memory. Too long for three.
            ways="control preloaded"
            if ! enough_memory "$(awk -v gb="${option#mem=}" 'BEGIN { print int(2048 * gb) }')"; then
                skip "$folder/$name" "needs ${option#mem=} GB of memory"
                return
            fi
            ;;
        esac
    done
    if ! compile "$folder" "$name" >"$work/output" 2>&1; then
        result 1 "$folder/$name: does not compile"
        return
    fi
    for way in $ways; do
        failed=0
        once "$way" "$ranks" "$directory/$name" "${arguments[@]}" || failed=1
        left_behind "$way" || failed=1
        cd "$directory" || exit 1
        times="$times, $way $took s"
        if [ "$way" = control ]; then
            control=$failed
            [ "$failed" -eq 0 ] || times="$times (failed)"
        elif [ "$failed" -ne 0 ]; then
            break
        fi
    done
    if [ "$control" -ne 0 ] && [ "$failed" -ne 0 ]; then
        todo "$folder/$name: $ranks ranks$times" "MPICH alone fails on the local file system too"
    else
        result "$failed" "$folder/$name: $ranks ranks$times"
    fi
    rm -f "$name" "$name.linked"
}

# test_all FOLDER: its testlist, in a build directory of its own.
test_all() {
    local folder=$1 name rest
    mkdir -p "$build/$folder"
    cd "$build/$folder" || exit 1
    case $folder in
    *f77* | *f90* | *f08*)
        language=${folder%/io} language=${language#errors/}
        fortran mtest.o "$source/util/mtest_$language".f* >"$work/output" 2>&1 ||
            bail_out "mtest_$language: $(cat "$work/output")"
        [ "${folder%/io}" != "$language" ] || generate "$language" >"$work/output" 2>&1 ||
            bail_out "testmerge: $(cat "$work/output")"
        ;;
    esac
    while read -r name rest; do
        case $name in '#'* | '') continue ;; esac
        # shellcheck disable=SC2086
        case $wanted in "  " | *" $folder/$name "*) test_one "$folder" "$name" $rest ;; esac
    done < <(cat "$source/$folder"/testlist*)
}

take_core_flags
"$MPICC" -Wall -Wextra -Wshadow -Werror -o "$work/files" "$top_srcdir/test/mpi/files.c" "${core_flags[@]}" \
    >"$work/output" 2>&1 || bail_out "files.c: $(cat "$work/output")"
for name in mtest mtest_common mtest_single; do
    c "$build/$name.o" "$source/util/$name.c" >"$work/output" 2>&1 || bail_out "$name.c: $(cat "$work/output")"
done

test_all io
test_all errors/io
if [ -n "$MPIFORT" ]; then
    # The three interfaces to Fortran come to the same functions of MPI-IO.
    for language in ${MPICH_TEST_FORTRAN:-f77}; do
        test_all "$language/io"
        [ ! -d "$source/errors/$language/io" ] || test_all "errors/$language/io"
    done
else
    skip "Fortran" "no Fortran compiler"
fi
finish
