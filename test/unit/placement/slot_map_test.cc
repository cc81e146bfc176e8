// The slot map: golden values, balance, runs of consecutive slots, strides, movement when servers
// come and go, replicas, and the encoded form.
#include "placement/slot_map.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "base/crc32c.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kSeed = 0x0123456789abcdef;

std::uint32_t fingerprint(const SlotMap& map) {
  return crc32c(std::as_bytes(map.owners()));
}

/// Largest number of slots that one server has in any run of `n` slots that ends before `end`;
/// kSlots + n: also those round the end of the map.
std::uint32_t most_in_run(const SlotMap& map, std::uint32_t n, std::uint32_t end) {
  std::vector<std::uint32_t> in_run(map.index_count(), 0);
  std::uint32_t most = 0;
  for (std::uint32_t at = 0; at < end; ++at) {
    if (at >= n) --in_run[map.owner(static_cast<Slot>(at - n))];
    most = std::max(most, ++in_run[map.owner(static_cast<Slot>(at))]);
  }
  return most;
}

std::uint32_t moved(const SlotMap& before, const SlotMap& after) {
  std::uint32_t n = 0;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot)
    n += before.owners()[slot] != after.owners()[slot];
  return n;
}

/// Every server has the whole part of its fair share, or one slot more.
bool is_fair(const SlotMap& map) {
  const std::uint32_t share = kSlots / map.server_count();
  std::uint32_t total = 0;
  for (std::uint32_t s = 0; s < map.index_count(); ++s) {
    const std::uint32_t n = map.slots_of(static_cast<ServerIndex>(s));
    if (n != 0 && n != share && n != share + 1) return false;
    total += n;
  }
  return total == kSlots;
}

TEST_SUITE("slot_map") {
  TEST_CASE("initial map: golden values, the same on every machine and in every version") {
    struct Golden {
      std::uint32_t n_servers;
      std::vector<ServerIndex> first;
      std::uint32_t crc;
    };
    const Golden golden[] = {
        {1, {0, 0, 0, 0}, 0x5d87814f},
        {2, {1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1}, 0x25a9415b},
        {3, {1, 0, 2, 1, 0, 2, 0, 1, 2, 0, 1, 2, 1, 0, 2, 0}, 0x66492b35},
        {4, {0, 2, 3, 1, 3, 2, 1, 0, 3, 1, 0, 2, 1, 0, 3, 2}, 0x971fe8c5},
        {16, {9, 10, 3, 14, 15, 2, 8, 0, 5, 4, 13, 12, 1, 11, 7, 6}, 0x83a56ce3},
    };
    for (const Golden& g : golden) {
      CAPTURE(g.n_servers);
      const SlotMap map = SlotMap::initial(g.n_servers, kSeed);
      for (std::size_t i = 0; i < g.first.size(); ++i)
        CHECK(map.owner(static_cast<Slot>(i)) == g.first[i]);
      CHECK(fingerprint(map) == g.crc);
      CHECK(map.epoch() == 1);
      CHECK(map.server_count() == g.n_servers);
      CHECK(map.index_count() == g.n_servers);
    }
  }

  TEST_CASE("entry_slot: golden values") {
    CHECK(entry_slot(kRootInode, "a") == 18118);
    CHECK(entry_slot(kRootInode, "file.0001") == 57476);
  }

  TEST_CASE("entry_slot: names in one directory spread over all servers") {
    const SlotMap map = SlotMap::initial(16, kSeed);
    std::vector<std::uint32_t> files(16, 0);
    for (int i = 0; i < 16000; ++i)
      ++files[map.owner(entry_slot(kRootInode, "out." + std::to_string(i)))];
    CHECK(*std::min_element(files.begin(), files.end()) > 850);
    CHECK(*std::max_element(files.begin(), files.end()) < 1150);
  }

  TEST_CASE("owner: chunk i lives i slots after the home slot, round the end of the map") {
    const SlotMap map = SlotMap::initial(7, kSeed);
    const InodeId inode = make_inode(65530, 99);
    CHECK(map.home(inode) == map.owner(Slot{65530}));
    CHECK(map.owner(inode, 0) == map.home(inode));
    CHECK(map.owner(inode, 5) == map.owner(Slot{65535}));
    CHECK(map.owner(inode, 6) == map.owner(Slot{0}));
    CHECK(map.owner(inode, 65536 + 6) == map.owner(Slot{0}));
    CHECK(map.owner(inode, (1ull << 46) + 7) == map.owner(Slot{1}));
  }

  TEST_CASE("initial map: another seed is another map, the same seed the same") {
    CHECK(SlotMap::initial(16, 1) == SlotMap::initial(16, 1));
    CHECK(fingerprint(SlotMap::initial(16, 1)) != fingerprint(SlotMap::initial(16, 2)));
  }

  TEST_CASE("initial map: every server holds its fair share, to one slot and 5 %") {
    for (std::uint32_t n = 1; n <= 1024; ++n) {
      const SlotMap map = SlotMap::initial(n, kSeed + n);
      REQUIRE(is_fair(map));
      for (std::uint32_t s = 0; s < n; ++s) {
        const double share = double(map.slots_of(static_cast<ServerIndex>(s))) * n / kSlots;
        REQUIRE(share > 0.95);
        REQUIRE(share < 1.05);
      }
    }
    for (const std::uint32_t n : {1025u, 3000u, 4096u, 5000u, 8191u, kServersMax})
      CHECK(is_fair(SlotMap::initial(n, kSeed)));
  }

  TEST_CASE("initial map: n consecutive chunks put at most ceil(n/N)+1 on one server") {
    // Slots of one server beyond ceil(n/N), in the worst run; of runs within the map, and of all.
    struct Excess {
      std::uint32_t within, around;
    };
    const auto excess = [](const SlotMap& map, std::uint32_t n) {
      const std::uint32_t share = (n + map.server_count() - 1) / map.server_count();
      return Excess{most_in_run(map, n, kSlots) - share, most_in_run(map, n, kSlots + n) - share};
    };
    for (std::uint32_t n_servers = 1; n_servers <= 20; ++n_servers) {
      for (std::uint64_t seed = 0; seed < 3; ++seed) {
        const SlotMap map = SlotMap::initial(n_servers, seed);
        for (std::uint32_t n = 1; n <= 3 * n_servers + 2; ++n) {
          CAPTURE(n_servers);
          CAPTURE(n);
          REQUIRE(excess(map, n).around <= 1);
        }
      }
    }
    for (const std::uint32_t n_servers : {3u, 12u, 33u, 100u, 257u, 640u, 1000u, 5001u, 8192u}) {
      const SlotMap map = SlotMap::initial(n_servers, kSeed);
      for (const std::uint32_t n :
           {2u, 3u, n_servers / 3, n_servers / 2 + 1, n_servers - 1, n_servers, n_servers + 1,
            2 * n_servers + 1, 8 * n_servers - 1, 16 * n_servers, 20000u, 65536u}) {
        CAPTURE(n_servers);
        CAPTURE(n);
        if (n > kSlots) continue;
        const Excess e = excess(map, n);
        REQUIRE(e.within <= 1);
        // Runs across the end of the map, where the last block is cut off.
        REQUIRE(e.around <= (n <= 16 * n_servers || kSlots % n_servers == 0 ? 1 : 2));
      }
    }
  }

  TEST_CASE("initial map: transfers at strides unlike the chunk size reach all servers alike") {
    // Plain round robin over 16 servers sends every stride of 16 chunks to a single one.
    constexpr std::uint32_t kServers = 16;
    constexpr std::uint32_t kAccesses = 4096;
    const SlotMap map = SlotMap::initial(kServers, kSeed);
    for (const std::uint64_t stride_bytes :
         {47008ull * 97, 8ull << 20, 12ull << 20, 64ull << 20, 68ull << 20, 128ull << 20,
          (64ull << 20) + 4096, 1024ull << 20}) {
      std::vector<std::uint32_t> hits(kServers, 0);
      for (std::uint64_t i = 0; i < kAccesses; ++i)
        ++hits[map.owner(kRootInode, i * stride_bytes / kChunkBytesDefault)];
      CAPTURE(stride_bytes);
      // 1 GiB apart there are but 256 different slots, each hit 16 times: a coarser sample.
      const double slack = stride_bytes >= (1024ull << 20) ? 2.0 : 1.35;
      CHECK(*std::max_element(hits.begin(), hits.end()) < slack * kAccesses / kServers);
      CHECK(*std::min_element(hits.begin(), hits.end()) > 0);
    }
  }

  TEST_CASE("initial map: ranks at regular strides do not walk as a convoy") {
    // Rank r writes the chunks r*stride, r*stride+1, ...; all take one step at a time.
    constexpr std::uint32_t kServers = 16;
    constexpr std::uint32_t kRanks = 16;
    constexpr std::uint32_t kSteps = 256;
    const SlotMap map = SlotMap::initial(kServers, kSeed);
    for (const std::uint64_t stride : {256ull, 512ull, 1024ull, 1000ull, 4096ull}) {
      std::uint32_t sum_of_worst = 0;
      for (std::uint32_t step = 0; step < kSteps; ++step) {
        std::vector<std::uint32_t> load(kServers, 0);
        for (std::uint64_t rank = 0; rank < kRanks; ++rank)
          ++load[map.owner(kRootInode, rank * stride + step)];
        const std::uint32_t worst = *std::max_element(load.begin(), load.end());
        REQUIRE(worst < kRanks / 2 + 1);
        sum_of_worst += worst;
      }
      CAPTURE(stride);
      CHECK(sum_of_worst < 4 * kSteps);  // random throws average 3.1; round robin 16
    }
  }

  TEST_CASE("add: moves only what the new server receives, at most 1/(N+1) of all") {
    for (const std::uint32_t n : {1u, 2u, 3u, 4u, 15u, 16u, 63u, 100u, 255u, 1000u, 4000u, 8191u}) {
      const SlotMap before = SlotMap::initial(n, kSeed);
      SlotMap after = before;
      REQUIRE(after.add(static_cast<ServerIndex>(n)));
      CAPTURE(n);
      CHECK(moved(before, after) == kSlots / (n + 1));
      CHECK(after.slots_of(static_cast<ServerIndex>(n)) == kSlots / (n + 1));
      CHECK(is_fair(after));
      CHECK(after.epoch() == 2);
      CHECK(after.server_count() == n + 1);
      CHECK(before.epoch() == 1);
    }
  }

  TEST_CASE("remove: moves exactly the slots of the removed server") {
    for (const std::uint32_t n : {2u, 3u, 4u, 16u, 17u, 100u, 1000u, 8192u}) {
      const SlotMap before = SlotMap::initial(n, kSeed);
      const auto gone = static_cast<ServerIndex>(n / 2);
      SlotMap after = before;
      REQUIRE(after.remove(gone));
      CAPTURE(n);
      CHECK(moved(before, after) == before.slots_of(gone));
      for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
        const auto owner = after.owner(static_cast<Slot>(slot));
        REQUIRE(owner != gone);
        REQUIRE((before.owner(static_cast<Slot>(slot)) == gone ||
                 before.owner(static_cast<Slot>(slot)) == owner));
      }
      CHECK(is_fair(after));
      CHECK(after.epoch() == 2);
      CHECK_FALSE(after.contains(gone));
      CHECK(after.server_count() == n - 1);
      CHECK(after.index_count() == n);
    }
  }

  TEST_CASE("add and remove: a long history keeps balance, spread and indexes") {
    SlotMap map = SlotMap::initial(1, kSeed);
    SplitMix64 random(7);
    for (int change = 0; change < 120; ++change) {
      const SlotMap before = map;
      const bool grow = map.server_count() < 4 || random.below(5) < 3;
      if (grow) {
        std::uint32_t server = 0;
        while (before.contains(static_cast<ServerIndex>(server))) ++server;
        REQUIRE(map.add(static_cast<ServerIndex>(server)));
      } else {
        auto server = static_cast<ServerIndex>(random.below(map.index_count()));
        while (!map.contains(server))
          server = static_cast<ServerIndex>((server + 1) % map.index_count());
        REQUIRE(map.remove(server));
      }
      REQUIRE(is_fair(map));
      REQUIRE(map.epoch() == before.epoch() + 1);
      REQUIRE(moved(before, map) <=
              kSlots / std::min(map.server_count(), before.server_count()) + 1);
    }
    // Random throws of 4 N chunks on N servers would put 14 and more on one.
    const std::uint32_t n = 4 * map.server_count();
    CHECK(most_in_run(map, n, kSlots + n) <= 10);
  }

  TEST_CASE("add and remove: what cannot be is refused and changes nothing") {
    SlotMap map = SlotMap::initial(3, kSeed);
    const SlotMap before = map;
    CHECK(map.add(2).error().code == Errc::invalid);
    CHECK(map.add(4).error().code == Errc::invalid);
    CHECK(map.remove(3).error().code == Errc::invalid);
    CHECK(map.remove(65535).error().code == Errc::invalid);
    CHECK(map == before);
    REQUIRE(map.remove(0));
    REQUIRE(map.remove(2));
    CHECK(map.remove(1).error().code == Errc::invalid);
    CHECK(map.slots_of(1) == kSlots);
    SlotMap full = SlotMap::initial(kServersMax, kSeed);
    CHECK(full.add(static_cast<ServerIndex>(kServersMax)).error().code == Errc::invalid);
  }

  TEST_CASE("replicas: distinct servers, never the owner, in map order") {
    const SlotMap map = SlotMap::initial(5, kSeed);
    for (std::uint32_t slot = 0; slot < kSlots; slot += 97) {
      const auto chosen = map.replicas(static_cast<Slot>(slot), 2);
      REQUIRE(chosen.size() == 2);
      std::set<ServerIndex> all(chosen.begin(), chosen.end());
      all.insert(map.owner(static_cast<Slot>(slot)));
      REQUIRE(all.size() == 3);
      std::uint32_t next = slot + 1;
      while (map.owner(static_cast<Slot>(next)) == map.owner(static_cast<Slot>(slot))) ++next;
      REQUIRE(chosen.front() == map.owner(static_cast<Slot>(next)));
    }
  }

  TEST_CASE("replicas: another rack first, then another host, then any") {
    const SlotMap map = SlotMap::initial(6, kSeed);
    // Servers 0,1 on host 0 and 2,3 on host 1, all in rack 0; 4,5 on host 2 in rack 1.
    const std::vector<ServerPlace> places{{0, 0}, {0, 0}, {1, 0}, {1, 0}, {2, 1}, {2, 1}};
    for (std::uint32_t slot = 0; slot < 600; ++slot) {
      const auto owner = map.owner(static_cast<Slot>(slot));
      const auto chosen = map.replicas(static_cast<Slot>(slot), 5, places);
      REQUIRE(chosen.size() == 5);
      REQUIRE(places[chosen[0]].rack != places[owner].rack);
      const std::set<std::uint32_t> hosts{places[owner].host, places[chosen[0]].host,
                                          places[chosen[1]].host};
      REQUIRE(hosts.size() == 3);
      REQUIRE(std::set<ServerIndex>(chosen.begin(), chosen.end()).size() == 5);
    }
  }

  TEST_CASE("replicas: fewer servers than copies give fewer copies") {
    CHECK(SlotMap::initial(1, kSeed).replicas(0, 3).empty());
    CHECK(SlotMap::initial(2, kSeed).replicas(0, 3).size() == 1);
    CHECK(SlotMap::initial(4, kSeed).replicas(0, 0).empty());
  }

  TEST_CASE("encode and decode: the same map comes back") {
    SlotMap map = SlotMap::initial(9, kSeed);
    REQUIRE(map.remove(4));
    REQUIRE(map.add(9));
    const auto bytes = map.encode();
    CHECK(bytes.size() == SlotMap::kEncodedBytes);
    const auto back = SlotMap::decode(bytes);
    REQUIRE(back.has_value());
    CHECK(*back == map);
    CHECK(back->server_count() == 9);
    CHECK_FALSE(back->contains(4));
  }

  TEST_CASE("decode: whatever is damaged is refused with a reason") {
    const auto good = SlotMap::initial(9, kSeed).encode();
    for (const std::size_t length : {std::size_t{0}, std::size_t{15}, good.size() - 1}) {
      const auto cut = SlotMap::decode(std::span{good}.first(length));
      REQUIRE_FALSE(cut.has_value());
      CHECK_FALSE(cut.error().empty());
    }
    auto longer = good;
    longer.push_back(std::byte{0});
    CHECK_FALSE(SlotMap::decode(longer).has_value());
    for (std::size_t at = 0; at < good.size(); at += at < 32 ? 1 : 4099) {
      auto flipped = good;
      flipped[at] ^= std::byte{0x10};
      REQUIRE_FALSE(SlotMap::decode(flipped).has_value());
    }
  }

  TEST_CASE("decode: values out of range are refused though the checksum is right") {
    const auto with = [](std::size_t at, std::uint16_t value) {
      auto bytes = SlotMap::initial(9, kSeed).encode();
      std::memcpy(bytes.data() + at, &value, sizeof value);
      const std::uint32_t crc = crc32c(std::span{bytes}.first(bytes.size() - 4));
      std::memcpy(bytes.data() + bytes.size() - 4, &crc, sizeof crc);
      const auto decoded = SlotMap::decode(bytes);
      return decoded ? std::string("accepted") : decoded.error();
    };
    CHECK(with(16, 8) == "accepted");
    CHECK(with(16, 9) == "the slot map names a server that it lacks");
    CHECK(with(16 + 2 * 65535, 65535) == "the slot map names a server that it lacks");
    CHECK(with(6, 8) == "the slot map names a server that it lacks");
    CHECK(with(6, 0) == "the slot map's number of servers is out of range");
    CHECK(with(6, 8193) == "the slot map's number of servers is out of range");
    CHECK(with(8, 0) == "the slot map's epoch is 0");
    CHECK(with(4, 2) == "the slot map has an unknown version");
    CHECK(with(0, 2) == "not a slot map");
  }
}

}  // namespace
}  // namespace benchfs
