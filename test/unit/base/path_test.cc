// Canonical paths.
#include "base/path.hpp"

#include <doctest/doctest.h>

#include "base/types.hpp"

namespace benchfs {
namespace {

std::string canonical(std::string_view path) {
  const auto result = canonical_path(path);
  return result ? *result : "error: " + std::string(to_name(result.error().code));
}

TEST_SUITE("path") {
  TEST_CASE("a leading slash is supplied") {
    CHECK(canonical("a") == "/a");
    CHECK(canonical("/a") == "/a");
    CHECK(canonical("a/b") == "/a/b");
  }

  TEST_CASE("repeated slashes, dots and a slash at the end disappear") {
    CHECK(canonical("//a///b//") == "/a/b");
    CHECK(canonical("/./a/././b/.") == "/a/b");
    CHECK(canonical("/") == "/");
    CHECK(canonical("///") == "/");
    CHECK(canonical(".") == "/");
    CHECK(canonical("/...") == "/...");
    CHECK(canonical("/.a/b.") == "/.a/b.");
  }

  TEST_CASE("two dots stay, as a symbolic link may stand before them, but for those at the root") {
    CHECK(canonical("/a/b/../c") == "/a/b/../c");
    CHECK(canonical("/a/../") == "/a/..");
    CHECK(canonical("..") == "/");
    CHECK(canonical("/../../a") == "/a");
    CHECK(canonical("./.././a/..//../b") == "/a/../../b");
  }

  TEST_CASE("no path at all is not found, a NUL byte is invalid") {
    CHECK(canonical("") == "error: not_found");
    CHECK(canonical(std::string_view("a\0b", 3)) == "error: invalid");
  }

  TEST_CASE("a component has at most 255 bytes") {
    const std::string longest(kNameBytesMax, 'x');
    CHECK(canonical(longest) == "/" + longest);
    CHECK(canonical("/a/" + longest + "x/b") == "error: name_too_long");
    CHECK(canonical("/" + longest + "x/..") == "error: name_too_long");
  }

  TEST_CASE("a path has at most 4095 bytes, the supplied slash included") {
    std::string path;
    while (path.size() < kPathBytesMax) path += path.size() % 200 == 0 ? '/' : 'y';
    CHECK(canonical(path).size() == kPathBytesMax);
    CHECK(canonical(path + "y") == "error: name_too_long");
    CHECK(canonical(path.substr(1)).size() == kPathBytesMax);
    CHECK(canonical(path.substr(1) + "y") == "error: name_too_long");
  }

  TEST_CASE("names are taken from a path one after the other") {
    std::string_view rest = "/a//bc/.";
    CHECK(take_name(rest) == "a");
    CHECK(rest == "bc/.");
    CHECK(take_name(rest) == "bc");
    CHECK(take_name(rest) == ".");
    CHECK(rest.empty());
    CHECK(take_name(rest) == "");
    rest = "//";
    CHECK(take_name(rest) == "");
    CHECK(rest.empty());
    rest = "last/";  // nothing comes after it
    CHECK(take_name(rest) == "last");
    CHECK(rest.empty());
  }

  TEST_CASE("parent and name of a canonical path") {
    CHECK(path_parent("/") == "/");
    CHECK(path_parent("/a") == "/");
    CHECK(path_parent("/a/b/c") == "/a/b");
    CHECK(path_name("/") == "");
    CHECK(path_name("/a/b") == "b");
  }
}

}  // namespace
}  // namespace benchfs
