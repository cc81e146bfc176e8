// The coordinator's book: who is counted and named.
#include "cluster/gathering.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace benchfs;

namespace {

ServerRecord record_of(const std::string& id, std::uint64_t instance) {
  ServerRecord record;
  record.id = id;
  record.host = "node";
  record.host_id = 1;
  record.pid = 4711;
  record.bootstrap_host = "127.0.0.1";
  record.bootstrap_port = 7000;
  record.instance = instance;
  record.ucx_address.assign(16, std::byte{7});
  record.data_dir = "/data";
  record.store_id = instance;
  return record;
}

TEST_SUITE("gathering") {
  TEST_CASE("guests are named in order, this server among them, and the rest are counted") {
    Gathering gathering(record_of("s20", 20), 100);
    CHECK(gathering.roll_call() == "1 of 100 expected servers are here (s20)");
    for (unsigned i = 10; i < 50; ++i) {
      if (i == 20) continue;
      const auto answer = gathering.join(encode_record(record_of(fmt::format("s{}", i), i)));
      REQUIRE(!answer);
      CHECK(answer.error().code == Errc::busy);
    }
    std::string names = "s10";
    for (unsigned i = 11; i < 42; ++i) names += fmt::format(", s{}", i);
    CHECK(gathering.roll_call() ==
          fmt::format("40 of 100 expected servers are here ({} and 8 more)", names));
    CHECK(gathering.present().size() == 40);
    CHECK(gathering.present()[10].id == "s20");
  }

  TEST_CASE("a server that comes behind those that are named is counted all the same") {
    Gathering gathering(record_of("z", 99), 40);
    for (unsigned i = 10; i < 49; ++i) {
      const auto answer = gathering.join(encode_record(record_of(fmt::format("s{}", i), i)));
      CHECK(!answer);
    }
    const std::string text = gathering.roll_call();
    CHECK(text.starts_with("40 of 40 expected servers are here (s10, "));
    CHECK(text.ends_with(", s41 and 8 more)"));
  }

  TEST_CASE("a guest that asks again counts once; another one with its id is refused") {
    Gathering gathering(record_of("s0", 1), 3);
    const std::string again = encode_record(record_of("s1", 2));
    CHECK(!gathering.join(again));
    CHECK(!gathering.join(again));
    CHECK(gathering.present().size() == 2);
    const auto other = gathering.join(encode_record(record_of("s1", 3)));
    REQUIRE(!other);
    CHECK(other.error().code == Errc::exists);
    const auto own = gathering.join(encode_record(record_of("s0", 4)));
    REQUIRE(!own);
    CHECK(own.error().code == Errc::exists);
  }
}

}  // namespace
