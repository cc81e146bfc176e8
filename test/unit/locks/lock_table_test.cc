// The lock table: conflicts, fairness, cancelling a wait, the end of a session, and a random run
// against a model that checks that no two conflicting locks are held.
#include "locks/lock_table.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "base/hash.hpp"

namespace benchfs {
namespace {

struct Grants {
  std::vector<int> order;
  std::vector<int> ended;
  LockTable::Outcome note(int who) {
    return [this, who](bool granted) { (granted ? order : ended).push_back(who); };
  }
};
constexpr InodeId kFile = 7;

TEST_SUITE("lock_table") {
  TEST_CASE("locks that do not touch, and shared ones that do, are held together") {
    LockTable table;
    Grants grants;
    CHECK(table.request(kFile, {1, 1}, LockMode::exclusive, 0, 9, grants.note(1)).has_value());
    CHECK(table.request(kFile, {2, 1}, LockMode::exclusive, 10, 19, grants.note(2)).has_value());
    CHECK(table.request(kFile, {3, 1}, LockMode::shared, 20, 29, grants.note(3)).has_value());
    CHECK(table.request(kFile, {4, 1}, LockMode::shared, 25, 40, grants.note(4)).has_value());
    CHECK(table.request(kFile + 1, {5, 1}, LockMode::exclusive, 0, 9, grants.note(5)).has_value());
    CHECK(grants.order == std::vector<int>{1, 2, 3, 4, 5});
  }

  TEST_CASE(
      "conflicting requests are granted in the order they came, readers do not overtake a writer") {
    LockTable table;
    Grants grants;
    REQUIRE(table.request(kFile, {1, 1}, LockMode::shared, 0, 99, grants.note(1)).has_value());
    REQUIRE(table.request(kFile, {2, 1}, LockMode::exclusive, 50, 50, grants.note(2)).has_value());
    REQUIRE(table.request(kFile, {3, 1}, LockMode::shared, 50, 60, grants.note(3)).has_value());
    REQUIRE(table.request(kFile, {4, 1}, LockMode::shared, 51, 60, grants.note(4)).has_value());
    CHECK(grants.order == std::vector<int>{1, 4});
    CHECK(table.release(kFile, {1, 1}));
    CHECK(grants.order == std::vector<int>{1, 4, 2});
    CHECK(table.release(kFile, {2, 1}));
    CHECK(grants.order == std::vector<int>{1, 4, 2, 3});
  }

  TEST_CASE("what stands in the way is told: what is held before what is waited for") {
    LockTable table;
    Grants grants;
    CHECK(!table.obstacle(kFile, LockMode::exclusive, 0, ~0ull));
    REQUIRE(table.request(kFile, {1, 1}, LockMode::shared, 0, 9, grants.note(1)).has_value());
    REQUIRE(table.request(kFile, {2, 1}, LockMode::exclusive, 5, 19, grants.note(2)).has_value());
    REQUIRE(table.request(kFile, {3, 1}, LockMode::shared, 20, 29, grants.note(3)).has_value());
    CHECK(!table.obstacle(kFile, LockMode::shared, 0, 4));
    CHECK(!table.obstacle(kFile, LockMode::shared, 20, 99));
    CHECK(!table.obstacle(kFile + 1, LockMode::exclusive, 0, 4));
    const auto waits = table.obstacle(kFile, LockMode::shared, 5, 6);
    REQUIRE(waits);
    CHECK(waits->owner == LockOwner{2, 1});
    CHECK(!waits->held);
    const auto held = table.obstacle(kFile, LockMode::exclusive, 12, 29);
    REQUIRE(held);
    CHECK(held->owner == LockOwner{3, 1});
    CHECK(held->mode == LockMode::shared);
    CHECK(held->first == 20);
    CHECK(held->last == 29);
    CHECK(held->held);
    CHECK(table.size() == 3);
  }

  TEST_CASE("a wait that is cancelled lets those behind it go on and is never granted") {
    LockTable table;
    Grants grants;
    REQUIRE(table.request(kFile, {1, 1}, LockMode::shared, 0, 9, grants.note(1)).has_value());
    REQUIRE(table.request(kFile, {2, 1}, LockMode::exclusive, 0, 9, grants.note(2)).has_value());
    REQUIRE(table.request(kFile, {3, 1}, LockMode::shared, 0, 9, grants.note(3)).has_value());
    CHECK(table.release(kFile, {2, 1}));
    CHECK(grants.order == std::vector<int>{1, 3});
    CHECK(grants.ended == std::vector<int>{2});
    CHECK(table.release(kFile, {1, 1}));
    CHECK(table.release(kFile, {3, 1}));
    CHECK(grants.order == std::vector<int>{1, 3});
    CHECK(table.size() == 0);
  }

  TEST_CASE("the end of a session releases what it held and waited for, in every file") {
    LockTable table;
    Grants grants;
    for (InodeId inode : {kFile, kFile + 1}) {
      REQUIRE(table.request(inode, {1, 1}, LockMode::exclusive, 0, 9, grants.note(1)).has_value());
      REQUIRE(table.request(inode, {1, 2}, LockMode::exclusive, 5, 9, grants.note(1)).has_value());
      REQUIRE(table.request(inode, {2, 1}, LockMode::exclusive, 0, 9, grants.note(2)).has_value());
    }
    CHECK(table.size_of(1) == 4);
    table.release_session(1);
    CHECK(grants.order == std::vector<int>{1, 1, 2, 2});
    CHECK(grants.ended == std::vector<int>{1, 1});
    CHECK(table.size_of(1) == 0);
    CHECK(table.size() == 2);
    table.release_session(3);
    table.release_session(2);
    CHECK(table.size() == 0);
  }

  TEST_CASE("a token in use, an empty range and an unknown lock are refused") {
    LockTable table;
    Grants grants;
    REQUIRE(table.request(kFile, {1, 1}, LockMode::exclusive, 0, 9, grants.note(1)).has_value());
    const Status again = table.request(kFile, {1, 1}, LockMode::exclusive, 50, 60, grants.note(2));
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().code == Errc::exists);
    const Status empty = table.request(kFile, {1, 2}, LockMode::exclusive, 9, 8, grants.note(2));
    REQUIRE_FALSE(empty.has_value());
    CHECK(empty.error().code == Errc::invalid);
    CHECK_FALSE(table.release(kFile, {2, 1}));
    CHECK_FALSE(table.release(kFile + 1, {1, 1}));
    CHECK(table.size() == 1);
  }

  TEST_CASE("random: conflicting locks are never held together, and everyone's turn comes") {
    SplitMix64 random(20261121);
    LockTable table;
    struct Known {
      LockOwner owner;
      LockMode mode;
      std::uint64_t first, last;
      bool held = false;
    };
    std::vector<std::unique_ptr<Known>> all;
    for (int step = 0; step < 20'000; ++step) {
      if (all.size() < 40 && random.below(2) == 0) {
        auto known = std::make_unique<Known>();
        known->owner = {1 + random.below(5), 1000u + static_cast<std::uint64_t>(step)};
        known->mode = random.below(3) == 0 ? LockMode::exclusive : LockMode::shared;
        known->first = random.below(100);
        known->last = known->first + random.below(20);
        Known* self = known.get();
        all.push_back(std::move(known));
        REQUIRE(table
                    .request(kFile, self->owner, self->mode, self->first, self->last,
                             [self](bool granted) { self->held = granted; })
                    .has_value());
      } else if (!all.empty()) {
        const auto at = all.begin() + random.below(static_cast<std::uint32_t>(all.size()));
        REQUIRE(table.release(kFile, (*at)->owner));
        all.erase(at);
      }
      for (std::size_t i = 0; i < all.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          const Known &a = *all[i], &b = *all[j];
          const bool clash = a.first <= b.last && b.first <= a.last &&
                             (a.mode == LockMode::exclusive || b.mode == LockMode::exclusive);
          if (clash) REQUIRE_FALSE((a.held && b.held));
        }
      }
      if (!all.empty()) REQUIRE(all.front()->held);  // nobody is before the oldest
    }
  }
}

}  // namespace
}  // namespace benchfs
