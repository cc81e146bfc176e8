// Quotas over several servers: what is handed out never exceeds a limit, all of it can be used by
// anybody, and nothing depends on who died or was restarted.
#include <memory>
#include <random>

#include "quota_fixture.hpp"

namespace benchfs {
namespace {

using quota_test::QuotaFixture;

constexpr std::uint64_t kKi = 1 << 10, kMi = 1 << 20;

std::uint32_t other_than(const QuotaFixture& servers, std::uint32_t index) {
  return (index + 1) % servers.count;
}

/// A server that is not the authority.
std::uint32_t plain_server(const QuotaFixture& servers) {
  return other_than(servers, servers.root_home());
}

TEST_SUITE("quota") {
  TEST_CASE("quota: the number of an inode carries the quota and leaves slot and counter alone") {
    const std::uint64_t most = (1ull << kQuotaCounterBits) - 1;
    const InodeId inode = make_inode(65535, most, kQuotaIdMax);
    CHECK(inode == ~0ull);
    CHECK(home_slot(inode) == 65535);
    CHECK(quota_of(inode) == kQuotaIdMax);
    CHECK(quota_of(make_inode(65535, (1ull << kCounterBits) - 1)) == 0);
    CHECK(quota_of(make_inode(7, most, 12)) == 12);
    CHECK(quota_of(make_inode(7, 1, 1)) == 1);
    CHECK(make_inode(7, 9) == ((7ull << 48) | 9));
    CHECK(make_inode(7, 9, 1) == ((7ull << 48) | (1ull << 47) | (1ull << 37) | 9));
    CHECK(quota_of(kRootInode) == 0);
  }

  TEST_CASE("quota: exactly as many files as the limit allows, wherever they are made") {
    for (const std::uint32_t count : {1u, 3u}) {
      QuotaFixture servers(count);
      const QuotaId id = servers.make(0, 100);
      std::uint64_t made = 0;
      for (std::uint32_t i = 0, refused = 0; refused < count; ++i) {
        const Status created = servers.create(i % count, id);
        if (created) {
          ++made;
          refused = 0;
        } else {
          CHECK(created.error().code == Errc::quota);
          ++refused;
        }
      }
      CHECK(made == 100);
      CHECK(servers.files(id) == 101);  // the directory itself
      const auto use = servers.quota(wire::Quota::kGet, id);
      REQUIRE(use.has_value());
      CHECK(use->files_used == 100);
      CHECK(use->files_limit == 100);
      CHECK(use->bytes_limit == 0);
      CHECK(servers.asked < 120 * count);
      // What one server frees another one may use, at once.
      servers.remove(count - 1);
      CHECK(servers.create(0, id).has_value());
      CHECK_FALSE(servers.create(count - 1, id).has_value());
    }
  }

  TEST_CASE("quota: far from the limit the authority is rarely asked") {
    QuotaFixture servers(3);
    const QuotaId id = servers.make(0, 1'000'000);
    servers.asked = 0;
    for (std::uint32_t i = 0; i < 600; ++i) REQUIRE(servers.create(i % 3, id).has_value());
    CHECK(servers.asked <= 3);
  }

  TEST_CASE("quota: bytes up to the limit, by whoever comes; overwriting goes on") {
    QuotaFixture servers(3);
    const QuotaId id = servers.make(8 * kMi, 0);
    const InodeId inode = make_inode(1, 77, id);
    std::uint64_t written = 0, end[3] = {};
    for (std::uint32_t i = 0, refused = 0; refused < 3; ++i) {
      const Status done = servers.write(i % 3, inode, end[i % 3], 64 * kKi);
      if (done) {
        written += 64 * kKi;
        end[i % 3] += 64 * kKi;
        refused = 0;
      } else {
        CHECK(done.error().code == Errc::quota);
        ++refused;
      }
      REQUIRE(servers.bytes(id) <= 8 * kMi);
    }
    CHECK(written == 8 * kMi);
    CHECK(servers.quota(wire::Quota::kGet, id)->bytes_used == 8 * kMi);
    CHECK(servers.write(0, inode, 0, 64 * kKi).has_value());
    CHECK(servers.write(1, inode, kMi, 4 * kKi).has_value());
    // One byte beyond what is there takes a block.
    CHECK(servers.write(0, inode, end[0], 1).error().code == Errc::quota);
    // All of one server for another one.
    REQUIRE(servers.run(servers.members[1].chunks->remove(inode)).has_value());
    const std::uint64_t room = 8 * kMi - servers.bytes(id);
    CHECK(room > 2 * kMi);
    CHECK_FALSE(servers.write(2, inode, 100 * kMi, room + 1).has_value());
    CHECK(servers.write(2, inode, 100 * kMi, room).has_value());
    CHECK(servers.bytes(id) == 8 * kMi);
  }

  TEST_CASE("quota: a write in progress holds what it may take") {
    QuotaFixture servers(1);
    const QuotaId id = servers.make(kMi, 0);
    {
      auto admitted = servers.run(servers.members[0].shares->admit_bytes(id, kMi / 2));
      REQUIRE(admitted.has_value());
      auto hold = std::make_unique<QuotaShares::Hold>(std::move(*admitted));
      auto waiting = servers.members[0].shares->admit_bytes(id, kMi);
      servers.run(servers.nap(1'000'000));
      CHECK_FALSE(waiting.done());
      hold.reset();
      CHECK(servers.run(std::move(waiting)).has_value());
    }
    CHECK(servers.run(servers.members[0].shares->admit_bytes(id, kMi)).has_value());
    CHECK_FALSE(servers.run(servers.members[0].shares->admit_bytes(id, kMi + 1)).has_value());
  }

  TEST_CASE("quota: counts are true after a restart, of a server and of the authority") {
    QuotaFixture servers(3);
    const QuotaId id = servers.make(4 * kMi, 10);
    const InodeId inode = make_inode(1, 77, id);
    for (std::uint32_t i = 0; i < 3; ++i) {
      REQUIRE(servers.create(i, id).has_value());
      REQUIRE(servers.write(i, inode, 0, kMi).has_value());
    }
    for (std::uint32_t i = 0; i < 3; ++i) {
      servers.restart(i);
      CHECK(servers.members[i].meta->quota_files(id) == (i == 0 ? 2 : 1));
      const auto use = servers.quota(wire::Quota::kGet, id);
      REQUIRE(use.has_value());
      CHECK(use->bytes_used == 3 * kMi);
      CHECK(use->files_used == 3);
      CHECK(use->bytes_limit == 4 * kMi);
      CHECK(use->files_limit == 10);
    }
    for (std::uint32_t i = 0; i < 7; ++i) CHECK(servers.create(i % 3, id).has_value());
    CHECK_FALSE(servers.create(0, id).has_value());
    CHECK_FALSE(servers.write(0, inode, 2 * kMi, kMi + 1).has_value());
    CHECK(servers.write(0, inode, 2 * kMi, kMi).has_value());
  }

  TEST_CASE("quota: a dead authority leaves what was handed out, and a clear error then") {
    QuotaFixture servers(3);
    const QuotaId id = servers.make(0, 100);
    const std::uint32_t one = plain_server(servers);
    REQUIRE(servers.create(one, id).has_value());
    servers.authority_reachable = false;
    std::uint64_t made = 0;
    Status created;
    while (created) {
      created = servers.create(one, id);
      made += created ? 1 : 0;
    }
    CHECK(created.error().code == Errc::quota_unknown);
    CHECK(made > 5);
    CHECK(servers.files(id) <= 101);
    servers.authority_reachable = true;
    CHECK(servers.create(one, id).has_value());
  }

  TEST_CASE("quota: a dead server keeps its share, and the others use the rest") {
    QuotaFixture servers(3);
    const QuotaId id = servers.make(0, 60);
    const std::uint32_t dead = plain_server(servers), other = other_than(servers, dead);
    REQUIRE(servers.create(dead, id).has_value());
    servers.members[dead].reachable = false;
    std::uint64_t made = 0;
    while (servers.create(other, id)) ++made;
    CHECK(made > 20);
    std::uint64_t unused = 0;
    while (servers.members[dead].shares->file_left(id)) {
      REQUIRE(servers.create(dead, id).has_value());
      ++unused;
    }
    CHECK(unused > 0);
    CHECK(servers.files(id) == 61);
    CHECK_FALSE(servers.quota(wire::Quota::kGet, id).has_value());
  }

  TEST_CASE("quota: a new authority hands nothing out before all have said what they have") {
    QuotaFixture servers(3);
    const QuotaId id = servers.make(0, 100);
    const std::uint32_t one = plain_server(servers), other = other_than(servers, one);
    REQUIRE(servers.create(one, id).has_value());
    servers.members[one].reachable = false;
    servers.open_authority();
    // What had been given goes on; the rest waits.
    std::uint64_t made = 0;
    Status created;
    while (created) {
      created = servers.create(other, id);
      made += created ? 1 : 0;
    }
    CHECK(created.error().code == Errc::quota_unknown);
    CHECK(created.error().server == static_cast<std::int32_t>(one));
    CHECK(servers.files(id) <= 101);
    servers.members[one].reachable = true;
    while (servers.create(other, id)) ++made;
    CHECK(servers.files(id) == 101);
  }

  TEST_CASE("quota: an answer that a recall has overtaken does not count") {
    QuotaFixture servers(3);
    const QuotaId id = servers.make(0, 101);
    // A lower limit: nobody has more than it uses.
    REQUIRE(servers.quota(wire::Quota::kSet, id, 0, 100).has_value());
    const std::uint32_t one = plain_server(servers), other = other_than(servers, one);
    servers.reply_delay_ns = 100'000'000;
    auto asking = servers.members[one].shares->more_files(id);
    servers.run(servers.nap(5'000'000));
    CHECK_FALSE(asking.done());  // it was given a share, and does not know yet
    servers.reply_delay_ns = 0;
    while (servers.create(other, id)) {
    }
    CHECK(servers.files(id) == 101);
    CHECK_FALSE(servers.run(std::move(asking)).has_value());
    CHECK_FALSE(servers.create(one, id).has_value());
    CHECK(servers.files(id) == 101);
  }

  TEST_CASE("quota: limits change at once; below what is used nothing grows") {
    QuotaFixture servers(3);
    const QuotaId id = servers.make(0, 20);
    for (std::uint32_t i = 0; i < 10; ++i) REQUIRE(servers.create(i % 3, id).has_value());
    REQUIRE(servers.quota(wire::Quota::kSet, id, wire::Quota::kKeep, 5).has_value());
    for (std::uint32_t i = 0; i < 3; ++i) CHECK(servers.create(i, id).error().code == Errc::quota);
    CHECK(servers.quota(wire::Quota::kGet, id)->files_used == 10);
    REQUIRE(servers.quota(wire::Quota::kSet, id, 0, 12).has_value());
    CHECK(servers.create(2, id).has_value());
    CHECK(servers.create(1, id).has_value());
    CHECK_FALSE(servers.create(0, id).has_value());
    REQUIRE(servers.quota(wire::Quota::kSet, id, 0, 0).has_value());
    for (std::uint32_t i = 0; i < 30; ++i) CHECK(servers.create(i % 3, id).has_value());
    REQUIRE(servers.quota(wire::Quota::kSet, id, 0, 42).has_value());
    for (std::uint32_t i = 0; i < 3; ++i) CHECK_FALSE(servers.create(i, id).has_value());
    // A server that cannot be told keeps the old limits in force.
    servers.members[plain_server(servers)].reachable = false;
    CHECK(servers.quota(wire::Quota::kSet, id, 0, 41).error().code == Errc::unreachable);
    CHECK(servers.quota(wire::Quota::kSet, id, 0, 100).has_value());
    CHECK(servers.quota(wire::Quota::kSet, 99, 0, 1).error().code == Errc::not_found);
    CHECK(servers.quota(wire::Quota::kMake, 0, wire::Quota::kKeep, 1).error().code ==
          Errc::bad_message);
    CHECK(servers.quota(4, id).error().code == Errc::bad_message);
  }

  TEST_CASE("quota: a counter that is too large for it is refused, and makes other files") {
    QuotaFixture servers(1);
    MetaStore& meta = *servers.members[0].meta;
    CHECK(meta.check_counter(3).has_value());
    REQUIRE(servers.run(meta.raise_counter(1ull << kQuotaCounterBits)).has_value());
    CHECK(meta.check_counter(3).error().code == Errc::no_space);
    CHECK(meta.check_counter(0).has_value());
    CHECK(quota_of(meta.next_inode(5)) == 0);
  }

  TEST_CASE("quota: an id is given again when nothing counts for it any more") {
    QuotaFixture servers(2);
    servers.id_max = 2;
    servers.open_authority();
    const QuotaId first = servers.make(0, 5), second = servers.make(0, 7);
    CHECK(first == 1);
    CHECK(second == 2);
    CHECK(servers.quota(wire::Quota::kMake, 0, 0, 9).error().code == Errc::no_space);
    servers.remove(0);  // the directory of the second
    const auto made = servers.quota(wire::Quota::kMake, 0, 0, 1);
    REQUIRE(made.has_value());
    CHECK(made->id == second);
    CHECK(servers.create(1, second).has_value());
    CHECK(servers.create(0, second).has_value());
    CHECK_FALSE(servers.create(1, second).has_value());
  }

  TEST_CASE("quota: wrong counts are found one by one, and set right") {
    QuotaFixture servers(1);
    const QuotaId id = servers.make(0, 0);
    for (int i = 0; i < 4; ++i) REQUIRE(servers.create(0, id).has_value());
    MetaStore& meta = *servers.members[0].meta;
    meta.set_quota_files(id, 17);
    CHECK(meta.quota_files(id) == 17);
    CHECK(servers.run(meta.committed()).has_value());
    const auto ask = [&](std::uint32_t operation) {
      return *servers.run(servers.members[0].shares->recall({id, operation, 0}));
    };
    CHECK(ask(wire::QuotaRecall::kCheck).files_counted == 5);
    CHECK(ask(wire::QuotaRecall::kCheck).files_used == 17);
    CHECK(ask(wire::QuotaRecall::kRepair).files_used == 17);
    CHECK(ask(wire::QuotaRecall::kCheck).files_used == 5);
    servers.restart(0);
    CHECK(servers.members[0].meta->quota_files(id) == 5);
    CHECK_FALSE(servers.run(servers.members[0].shares->recall({id, 5, 0})).has_value());
    CHECK_FALSE(servers.run(servers.members[0].shares->recall({0, 1, 0})).has_value());
  }

  TEST_CASE("quota: whatever happens in whatever order, never more than the limit") {
    for (const unsigned seed : {1u, 2u, 3u}) {
      QuotaFixture servers(3);
      std::mt19937 random(seed);
      const QuotaId id = servers.make(0, 40);
      for (int step = 0; step < 150; ++step) {
        const std::uint32_t server = random() % 3;
        const unsigned what = random() % 100;
        if (what < 60) {
          const Status created = servers.create(server, id);
          if (!created) {
            const Errc code = created.error().code;
            CHECK((code == Errc::quota || code == Errc::quota_unknown));
          }
        } else if (what < 85) {
          if (servers.members[server].files.size() > 1) servers.remove(server);
        } else if (what < 91) {
          servers.members[server].reachable = !servers.members[server].reachable;
        } else if (what < 94) {
          servers.restart(server);
        } else if (what < 97) {
          servers.open_authority();
        } else {
          servers.authority_reachable = !servers.authority_reachable;
        }
        REQUIRE_MESSAGE(servers.files(id) <= 41, "seed " << seed << ", step " << step);
      }
      servers.authority_reachable = true;
      for (auto& member : servers.members) member.reachable = true;
      while (servers.create(seed % 3, id)) {
      }
      CHECK(servers.files(id) == 41);
    }
  }
}

}  // namespace
}  // namespace benchfs
