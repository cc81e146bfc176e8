# What the build needs. Each BENCHFS_NEED_* adds what it did not find to a list; BENCHFS_TELL_MISSING
# stops with the whole list and the one command that installs it on Debian.

# BENCHFS_MISSING(what, Debian packages)
AC_DEFUN([BENCHFS_MISSING], [
    benchfs_missing="$benchfs_missing
    $1 (Debian: $2)"
    benchfs_packages="$benchfs_packages $2"
])

# BENCHFS_NEED(PREFIX, pkg-config module, Debian package): sets PREFIX_CFLAGS and PREFIX_LIBS.
AC_DEFUN([BENCHFS_NEED], [
    PKG_CHECK_MODULES([$1], [$2], [], [BENCHFS_MISSING([$2], [$3])])
])

# BENCHFS_NEED_HEADER(header, Debian package): a C++ header without a pkg-config file.
AC_DEFUN([BENCHFS_NEED_HEADER], [
    AC_LANG_PUSH([C++])
    AC_CHECK_HEADER([$1], [], [BENCHFS_MISSING([$1], [$2])])
    AC_LANG_POP([C++])
])

# BENCHFS_NEED_TOOL(name, path or nothing, Debian package)
AC_DEFUN([BENCHFS_NEED_TOOL], [
    AS_IF([test -z "$2"], [BENCHFS_MISSING([$1], [$3])])
])

AC_DEFUN([BENCHFS_TELL_MISSING], [
    AS_IF([test -n "$benchfs_missing"], [
        AC_MSG_ERROR([these are needed and were not found:
$benchfs_missing

On Debian, tools/setup installs everything; or, as root:
    apt-get install$benchfs_packages
A library in a place of its own is found through PKG_CONFIG_PATH or CPPFLAGS.])
    ])
])
