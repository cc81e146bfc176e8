// The conditions of a search.
#include "base/match.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

namespace benchfs {
namespace {

TEST_SUITE("match") {
  TEST_CASE("match: anything fits what asks for nothing") {
    const Match any;
    CHECK_FALSE(needs_attributes(any));
    CHECK(name_fits(any, S_IFREG, "a"));
    CHECK(name_fits(any, S_IFLNK | 0777, ".b"));
    CHECK(attributes_fit(any, S_IFDIR, 0, -5));
  }
  TEST_CASE("match: patterns, with and without capitals, and types") {
    Match match;
    match.name = "a*[0-9]";
    CHECK(name_fits(match, S_IFREG, "a7"));
    CHECK_FALSE(name_fits(match, S_IFREG, "A7"));
    match = Match();
    match.any_case_name = "a?";
    CHECK(name_fits(match, S_IFREG, "A7"));
    CHECK_FALSE(name_fits(match, S_IFREG, "A77"));
    match = Match();
    match.types = Match::kFiles | Match::kLinks;
    CHECK(name_fits(match, S_IFREG | 0644, "x"));
    CHECK(name_fits(match, S_IFLNK, "x"));
    CHECK_FALSE(name_fits(match, S_IFDIR | 0755, "x"));
    CHECK_FALSE(needs_attributes(match));
  }
  TEST_CASE("match: bounds are inclusive, and what is empty is a file of no bytes or a directory") {
    Match match;
    match.size_min = 5;
    match.size_max = 7;
    CHECK(needs_attributes(match));
    CHECK_FALSE(attributes_fit(match, S_IFREG, 4, 0));
    CHECK(attributes_fit(match, S_IFREG, 5, 0));
    CHECK(attributes_fit(match, S_IFREG, 7, 0));
    CHECK_FALSE(attributes_fit(match, S_IFREG, 8, 0));
    match = Match();
    match.mtime_min_ns = -3;
    match.mtime_max_ns = 3;
    CHECK(needs_attributes(match));
    CHECK(attributes_fit(match, S_IFREG, 0, -3));
    CHECK_FALSE(attributes_fit(match, S_IFREG, 0, 4));
    match = Match();
    match.empty = true;
    CHECK(needs_attributes(match));
    CHECK(name_fits(match, S_IFDIR, "x"));
    CHECK_FALSE(name_fits(match, S_IFLNK, "x"));
    CHECK(attributes_fit(match, S_IFREG, 0, 0));
    CHECK_FALSE(attributes_fit(match, S_IFREG, 1, 0));
  }
}

}  // namespace
}  // namespace benchfs
