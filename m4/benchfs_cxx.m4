# BENCHFS_CXX23: the flag for C++23, and a check that what the code uses of it is there.
AC_DEFUN([BENCHFS_CXX23], [
    AC_LANG_PUSH([C++])
    benchfs_saved_CXXFLAGS=$CXXFLAGS
    BENCHFS_CXX_STANDARD="-std=c++23"
    CXXFLAGS="$CXXFLAGS $BENCHFS_CXX_STANDARD"
    AC_MSG_CHECKING([whether $CXX has C++23 (expected, coroutines, concepts)])
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
        #include <bit>
        #include <concepts>
        #include <coroutine>
        #include <expected>
        #include <source_location>
        #include <span>
        #if !defined(__cpp_lib_expected) || !defined(__cpp_impl_coroutine)
        #error missing
        #endif
        template <std::integral T> std::expected<T, int> twice(T value) { return value + value; }
        int main() { return twice(1).value() == 2 ? 0 : 1; }
    ]])], [AC_MSG_RESULT([yes])], [
        AC_MSG_RESULT([no])
        AC_MSG_ERROR([the C++ compiler is too old: g++ 12 or newer is needed (Debian package g++), or give another one with CXX=...])
    ])
    CXXFLAGS=$benchfs_saved_CXXFLAGS
    AC_LANG_POP([C++])
    AC_SUBST([BENCHFS_CXX_STANDARD])
])

# BENCHFS_OPTIONS: --enable-werror, --enable-sanitizers, and the flags that every folder compiles with.
AC_DEFUN([BENCHFS_OPTIONS], [
    AC_ARG_ENABLE([werror],
        [AS_HELP_STRING([--enable-werror], [warnings are errors])], [], [enable_werror=no])
    AC_ARG_ENABLE([sanitizers],
        [AS_HELP_STRING([--enable-sanitizers], [compile the C++ code with ASan and UBSan])],
        [], [enable_sanitizers=no])

    benchfs_warnings="-Wall -Wextra -Wshadow"
    AS_IF([test "x$enable_werror" = xyes], [benchfs_warnings="$benchfs_warnings -Werror"])
    AM_CPPFLAGS='-I$(top_builddir) -I$(top_srcdir)/libbenchfs_core -I$(top_srcdir)/libbenchfs_core/include'
    AM_CFLAGS="$benchfs_warnings -fvisibility=hidden"
    AM_CXXFLAGS="$BENCHFS_CXX_STANDARD $benchfs_warnings -fvisibility=hidden -fvisibility-inlines-hidden"
    AM_LDFLAGS="-Wl,--as-needed"
    AS_IF([test "x$enable_sanitizers" = xyes], [
        benchfs_sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
        AM_CXXFLAGS="$AM_CXXFLAGS $benchfs_sanitize"
        AM_LDFLAGS="$AM_LDFLAGS $benchfs_sanitize"
    ])
    AM_CONDITIONAL([SANITIZERS], [test "x$enable_sanitizers" = xyes])
    AC_SUBST([AM_CPPFLAGS])
    AC_SUBST([AM_CFLAGS])
    AC_SUBST([AM_CXXFLAGS])
    AC_SUBST([AM_LDFLAGS])
])
