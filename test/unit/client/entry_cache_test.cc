#include "client/entry_cache.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <functional>

namespace benchfs {
namespace {

using Numbers = TimedCache<int, int, int, std::hash<int>, std::equal_to<>>;

constexpr std::int64_t kLong = 3600'000'000'000;

wire::Attributes attributes_of(InodeId inode, std::uint64_t size) {
  wire::Attributes attributes{};
  attributes.inode = inode;
  attributes.size = size;
  return attributes;
}

TEST_SUITE("entry cache") {
  TEST_CASE("timed cache: a value counts until its time is over, and not again") {
    Numbers cache(100, 10);
    cache.put(1, 11, 1000);
    REQUIRE(cache.find(1, 1000) != nullptr);
    CHECK(*cache.find(1, 1099) == 11);
    CHECK(cache.find(1, 1100) == nullptr);
    CHECK(cache.size() == 0);
    CHECK(cache.find(1, 1000) == nullptr);
    cache.put(1, 12, 1000);
    cache.put(1, 13, 1050);  // seen again
    REQUIRE(cache.find(1, 1149) != nullptr);
    CHECK(*cache.find(1, 1149) == 13);
  }

  TEST_CASE("timed cache: it is bounded, and what was used longest ago goes first") {
    Numbers cache(100, 3);
    for (const int key : {1, 2, 3}) cache.put(key, 10 * key, 0);
    CHECK(cache.find(1, 0) != nullptr);
    cache.put(4, 40, 0);
    CHECK(cache.size() == 3);
    CHECK(cache.find(2, 0) == nullptr);
    for (const int key : {1, 3, 4}) {
      CAPTURE(key);
      REQUIRE(cache.find(key, 0) != nullptr);
      CHECK(*cache.find(key, 0) == 10 * key);
    }
    cache.forget(3);
    cache.forget(3);
    CHECK(cache.find(3, 0) == nullptr);
    CHECK(cache.size() == 2);
  }

  TEST_CASE("entry cache: names are told apart by directory and by every byte") {
    EntryCache cache({.ttl_ns = kLong, .attributes_ttl_ns = 0, .entries_max = 10});
    cache.put(cache.ticket(), 1, "a", {7, S_IFDIR});
    cache.put(cache.ticket(), 2, "a", {8, S_IFDIR});
    REQUIRE(cache.find(1, "a").has_value());
    CHECK(cache.find(1, "a")->inode == 7);
    CHECK(cache.find(2, "a")->inode == 8);
    CHECK_FALSE(cache.find(1, "ab").has_value());
    CHECK_FALSE(cache.find(3, "a").has_value());
    CHECK(cache.counts().entry_hits == 3);
    CHECK(cache.counts().entry_misses == 2);
    cache.forget(1, "a");
    CHECK_FALSE(cache.find(1, "a").has_value());
    CHECK(cache.find(2, "a").has_value());
    cache.forget_all();
    CHECK(cache.entries() == 0);
  }

  TEST_CASE("entry cache: an answer that may be older than a change is not kept") {
    EntryCache cache({.ttl_ns = kLong, .attributes_ttl_ns = kLong, .entries_max = 10});
    const EntryCache::Ticket before = cache.ticket();
    cache.forget(1, "other");
    cache.put(before, 1, "a", {7, S_IFDIR});
    cache.put(before, attributes_of(7, 1));
    CHECK_FALSE(cache.find(1, "a").has_value());
    CHECK_FALSE(cache.find(7).has_value());
  }

  TEST_CASE("entry cache: with an entry go the attributes, also where it is not known whose") {
    EntryCache cache({.ttl_ns = kLong, .attributes_ttl_ns = kLong, .entries_max = 10});
    const auto fill = [&] {
      cache.put(cache.ticket(), 1, "a", {7, S_IFREG});
      cache.put(cache.ticket(), attributes_of(7, 70));
      cache.put(cache.ticket(), attributes_of(8, 80));
    };
    fill();
    cache.forget(1, "a");
    CHECK_FALSE(cache.find(7).has_value());
    REQUIRE(cache.find(8).has_value());
    CHECK(cache.find(8)->size == 80);
    fill();
    cache.forget(1, "second name of one of them");
    CHECK(cache.attributes() == 0);
    fill();
    cache.forget(InodeId{7});
    CHECK_FALSE(cache.find(7).has_value());
    CHECK(cache.find(1, "a").has_value());
  }

  TEST_CASE("entry cache: a time of 0 keeps nothing, and counts nothing") {
    EntryCache cache({.ttl_ns = 0, .attributes_ttl_ns = 0, .entries_max = 10});
    cache.put(cache.ticket(), 1, "a", {7, S_IFDIR});
    cache.put(cache.ticket(), attributes_of(7, 1));
    CHECK_FALSE(cache.find(1, "a").has_value());
    CHECK_FALSE(cache.find(7).has_value());
    CHECK(cache.counts().entry_misses == 0);
    CHECK(cache.counts().attribute_misses == 0);
    CHECK_FALSE(cache.keeps_attributes());
  }
}

}  // namespace
}  // namespace benchfs
