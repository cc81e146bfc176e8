// The data messages over the network, from a caller to the chunk store: inside the message and by
// rendezvous, single pieces and lists, and what is refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "net/fixture.hpp"
#include "storage/data_service.hpp"
#include "storage/file_chunks.hpp"
#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using net_test::Bytes;
using testing::LoopFixture;
using testing::random_bytes;

constexpr InodeId kInode = make_inode(9, 77);
constexpr std::uint32_t kShift = 22;
constexpr std::size_t kBytesMax = 1u << 20;

/// Sizes as a home would have them.
struct Sizes : HomeSizes {
  std::uint64_t current = 0;
  std::optional<Errc> failing;
  int merges = 0;
  Task<Status> merge(InodeId inode, std::uint64_t end) override {
    CHECK(inode == kInode);
    ++merges;
    if (failing) co_return fail(*failing);
    current = std::max(current, end);
    co_return Status{};
  }
  Task<Result<std::uint64_t>> size(InodeId) override {
    if (failing) co_return fail(*failing);
    co_return current;
  }
};

struct HandlerFixture : LoopFixture {
  SlotMap map = SlotMap::initial(2, 3);
  ServerIndex self = map.owner(kInode, 0);
  Bytes secret = net_test::secret_of(1);
  std::unique_ptr<BufferPool> pool =
      *BufferPool::create(4u << 20, DataService::block_bytes(kBytesMax));
  std::unique_ptr<ChunkStore> store =
      *ChunkStore::create({.data_dir = dir.path()}, ring.get(), *offload);
  std::unique_ptr<Fabric> fabric = net_test::make_fabric(*loop);
  std::unique_ptr<Dispatcher> dispatcher;
  std::unique_ptr<DataService> service;
  std::unique_ptr<net_test::Client> client;
  int metadata_syncs = 0;
  Sizes sizes;

  HandlerFixture() {
    Dispatcher::Options options;
    options.instance = net_test::kInstance;
    options.secret = secret;
    dispatcher = std::make_unique<Dispatcher>(*fabric, options);
    service = std::make_unique<DataService>(
        *loop, *store, *pool, map, [this] { return sync_metadata(); }, dispatcher->counters(),
        DataService::Options{.self = self, .rpc_bytes_max = kBytesMax, .sizes = &sizes});
    service->add_to(*dispatcher);
    REQUIRE(dispatcher->open().has_value());
    dispatcher->activate(net_test::kClusterId, 1);
    connect(false);
  }
  ~HandlerFixture() {
    client.reset();
    net_test::finish(*loop, dispatcher->close());
    run(store->close());
    CHECK(pool->waiting() == 0);
  }
  void connect(bool checksum) {
    client.reset();
    ServerRecord record;
    record.id = "s0";
    record.bootstrap_host = "127.0.0.1";
    record.bootstrap_port = 1;
    record.instance = net_test::kInstance;
    record.ucx_address.assign(fabric->address().begin(), fabric->address().end());
    net_test::ClientOptions options;
    options.checksum = checksum;
    client = std::make_unique<net_test::Client>(*loop, record, options);
  }
  Task<Status> sync_metadata() {
    ++metadata_syncs;
    co_return Status{};
  }

  static Bytes with_table(const std::vector<wire::Piece>& pieces, const Bytes& data) {
    const auto table = std::as_bytes(std::span(pieces));
    Bytes payload(table.begin(), table.end());
    payload.insert(payload.end(), data.begin(), data.end());
    return payload;
  }
  static wire::Write::Request write_request(std::uint64_t offset, std::size_t bytes,
                                            std::size_t pieces = 0) {
    return {kInode, offset, static_cast<std::uint32_t>(bytes), static_cast<std::uint32_t>(pieces),
            kShift, 0};
  }
  static wire::Read::Request read_request(std::uint64_t offset, std::size_t bytes,
                                          std::size_t pieces = 0) {
    return {kInode, offset, static_cast<std::uint32_t>(bytes), static_cast<std::uint32_t>(pieces),
            kShift, 0};
  }
  template <wire::Message M>
  Errc refusal(const typename M::Request& request, std::span<const std::byte> payload = {}) {
    Bytes into(2 * kBytesMax);
    const auto answer = client->call<M>(request, payload, into);
    REQUIRE_FALSE(answer.has_value());
    return answer.error().code;
  }
  bool served() { return client->call<wire::Sync>({kInode, wire::Sync::kData, 0}).has_value(); }
};

TEST_SUITE("data handlers") {
  TEST_CASE_FIXTURE(HandlerFixture,
                    "data handlers: what is written is read, in and beside the message") {
    for (const bool checksum : {false, true}) {
      connect(checksum);
      for (const std::size_t bytes :
           {std::size_t{1}, std::size_t{4095}, std::size_t{100'000}, kBytesMax}) {
        CAPTURE(bytes);
        const Bytes data = random_bytes(bytes, bytes);
        const auto written = client->call<wire::Write>(write_request(12345, bytes), data);
        REQUIRE(written.has_value());
        CHECK(written->body.bytes == bytes);
        Bytes into(bytes);
        const auto read = client->call<wire::Read>(read_request(12345, bytes), {}, into);
        REQUIRE(read.has_value());
        CHECK(read->body.bytes == bytes);
        CHECK(read->payload_bytes == bytes);
        CHECK(read->body.data_end == ~0ull);
        CHECK(into == data);
      }
    }
    CHECK(dispatcher->counters().written_bytes == 2 * (1 + 4095 + 100'000 + kBytesMax));
    CHECK(dispatcher->counters().read_bytes == dispatcher->counters().written_bytes);
  }

  TEST_CASE_FIXTURE(
      HandlerFixture,
      "data handlers: lists small and large, with their tables in and beside the message") {
    for (const std::size_t count :
         {std::size_t{2}, std::size_t{100}, std::size_t{5000}, std::size_t{60'000}}) {
      CAPTURE(count);
      std::vector<wire::Piece> pieces;
      for (std::size_t i = 0; i < count; ++i)
        pieces.push_back({(count - 1 - i) * 64 + i % 3, static_cast<std::uint32_t>(1 + i % 17), 0});
      std::size_t total = 0;
      for (const auto& piece : pieces) total += piece.bytes;
      const Bytes data = random_bytes(total, count);
      const auto written =
          client->call<wire::Write>(write_request(0, total, count), with_table(pieces, data));
      REQUIRE(written.has_value());
      Bytes into(total);
      const auto read =
          client->call<wire::Read>(read_request(0, total, count), with_table(pieces, {}), into);
      REQUIRE(read.has_value());
      CHECK(read->payload_bytes == total);
      CHECK(into == data);
    }
  }

  TEST_CASE_FIXTURE(HandlerFixture,
                    "data handlers: a read past the local data is short, and says where it ends") {
    const Bytes data = random_bytes(100, 1);
    REQUIRE(client->call<wire::Write>(write_request(0, 100), data).has_value());
    Bytes into(1000);
    auto read = client->call<wire::Read>(read_request(50, 1000), {}, into);
    REQUIRE(read.has_value());
    CHECK(read->payload_bytes == 50);
    CHECK(read->body.data_end == 100);
    read = client->call<wire::Read>(read_request(5000, 1000), {}, into);
    REQUIRE(read.has_value());
    CHECK(read->payload_bytes == 0);
    CHECK(read->body.data_end == 5000);
  }

  TEST_CASE_FIXTURE(HandlerFixture,
                    "data handlers: a home tells the size with data that end early, if it can") {
    const Bytes data = random_bytes(100, 1);
    sizes.current = 777;
    auto request = write_request(0, 100);
    REQUIRE(client->call<wire::Write>(request, data).has_value());
    CHECK(sizes.merges == 0);  // not asked for
    Bytes into(1000);
    auto read = client->call<wire::Read>(read_request(50, 1000), {}, into);
    REQUIRE(read.has_value());
    CHECK(read->body.size_here == 1);
    CHECK(read->body.size == 777);
    read = client->call<wire::Read>(read_request(0, 100), {}, into);
    REQUIRE(read.has_value());
    CHECK(read->body.size_here == 0);  // nothing is missing
    sizes.failing = Errc::not_found;
    read = client->call<wire::Read>(read_request(50, 1000), {}, into);
    REQUIRE(read.has_value());
    CHECK(read->body.size_here == 0);
  }

  TEST_CASE_FIXTURE(HandlerFixture,
                    "data handlers: a write to the home merges its end into the size if asked to") {
    const Bytes data = random_bytes(100, 1);
    auto request = write_request(5, 100);
    request.flags = wire::Write::kMergeSize;
    auto written = client->call<wire::Write>(request, data);
    REQUIRE(written.has_value());
    CHECK(written->body.merged == 1);
    CHECK(sizes.current == 105);
    // Of a list: the farthest end, wherever in the table it stands.
    const std::vector<wire::Piece> pieces{{4000, 60, 0}, {10, 40, 0}};
    auto list = write_request(0, 100, 2);
    list.flags = wire::Write::kMergeSize;
    written = client->call<wire::Write>(list, with_table(pieces, data));
    REQUIRE(written.has_value());
    CHECK(written->body.merged == 1);
    CHECK(sizes.current == 4060);
    // A file that is gone is no error of the write; what keeps the size from being known is.
    sizes.failing = Errc::not_found;
    written = client->call<wire::Write>(request, data);
    REQUIRE(written.has_value());
    CHECK(written->body.merged == 0);
    sizes.failing = Errc::no_space;
    CHECK(refusal<wire::Write>(request, data) == Errc::no_space);
    request.flags = 2;
    CHECK(refusal<wire::Write>(request, data) == Errc::bad_message);
    CHECK(served());
  }

  TEST_CASE_FIXTURE(HandlerFixture,
                    "data handlers: malformed requests are refused, and the server goes on") {
    const Bytes data = random_bytes(1000, 1);
    CHECK(refusal<wire::Write>(write_request(0, 999), data) == Errc::bad_message);
    CHECK(refusal<wire::Write>(write_request(0, 0), {}) == Errc::bad_message);
    CHECK(refusal<wire::Write>(write_request((1ull << kShift) - 1, 1000), data) ==
          Errc::bad_message);
    CHECK(refusal<wire::Write>(write_request(~0ull, 1000), data) == Errc::bad_message);
    CHECK(refusal<wire::Write>(write_request(0, 1000, 1), data) == Errc::bad_message);
    CHECK(refusal<wire::Write>(write_request(0, 0, ~0u), data) == Errc::bad_message);
    const Bytes huge = random_bytes(kBytesMax + 1, 1);
    CHECK(refusal<wire::Write>(write_request(0, kBytesMax + 1), huge) == Errc::bad_message);
    CHECK(refusal<wire::Write>({kInode, 0, 1000, 0, 3, 0}, data) == Errc::bad_message);
    const Bytes crossing =
        random_bytes(kBytesMax, 1);  // by rendezvous: refused without fetching it
    CHECK(refusal<wire::Write>(write_request((1ull << kShift) - 1, kBytesMax), crossing) ==
          Errc::bad_message);
    CHECK(refusal<wire::Read>(read_request(0, 0)) == Errc::bad_message);
    CHECK(refusal<wire::Read>(read_request(0, ~0u)) == Errc::bad_message);
    CHECK(refusal<wire::Read>(read_request(0, 10, 2)) == Errc::bad_message);
    CHECK(refusal<wire::Read>(read_request(0, 10), data) == Errc::bad_message);
    CHECK(refusal<wire::Sync>({kInode, 0, 0}) == Errc::bad_message);
    CHECK(refusal<wire::Sync>({kInode, 4, 0}) == Errc::bad_message);
    CHECK(refusal<wire::DropData>({kInode, 0, 2, 0}) == Errc::bad_message);
    CHECK(refusal<wire::DropData>({kInode, kFileBytesMax + 1, 0, 0}) == Errc::bad_message);
    CHECK(served());
    CHECK(dispatcher->counters().written_bytes == 0);
    CHECK_FALSE(std::filesystem::exists(dir.path() + "/" + FileChunks::path_of(kInode)));
  }

  TEST_CASE_FIXTURE(
      HandlerFixture,
      "data handlers: chunks of another server are refused as stale, nothing is written") {
    std::uint64_t other = 1;
    while (map.owner(kInode, other) == self) ++other;
    const Bytes data = random_bytes(kBytesMax, 1);
    // data.
    const auto refused = client->call<wire::Write>(write_request(other << kShift, kBytesMax), data);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::stale_epoch);
    CHECK_FALSE(std::filesystem::exists(dir.path() + "/" + FileChunks::path_of(kInode)));
  }

  TEST_CASE_FIXTURE(HandlerFixture,
                    "data handlers: more requests than the pool has blocks are all served") {
    const std::size_t blocks = pool->available(kBytesMax);
    CHECK(blocks < 8);
    std::vector<Bytes> data;
    std::vector<Task<Result<Answer<wire::Write>>>> calls;
    for (std::uint64_t i = 0; i < 16; ++i) data.push_back(random_bytes(kBytesMax / 4, i));
    for (std::uint64_t i = 0; i < 16; ++i)
      calls.push_back(
          client->start<wire::Write>(write_request(i * kBytesMax / 4, kBytesMax / 4), data[i]));
    for (auto& call : calls) CHECK(net_test::finish(*loop, std::move(call)).has_value());
    for (std::uint64_t i = 0; i < 16; ++i) {
      Bytes into(kBytesMax / 4);
      REQUIRE(client->call<wire::Read>(read_request(i * kBytesMax / 4, into.size()), {}, into)
                  .has_value());
      CHECK(into == data[i]);
    }
    net_test::wait_until(*loop, [&] { return pool->available(kBytesMax) == blocks; });
    CHECK(pool->available(kBytesMax) == blocks);
  }

  TEST_CASE_FIXTURE(HandlerFixture, "data handlers: sync and drop") {
    const Bytes data = random_bytes(1000, 1);
    REQUIRE(client->call<wire::Write>(write_request(0, 1000), data).has_value());
    REQUIRE(client->call<wire::Sync>({kInode, wire::Sync::kData, 0}).has_value());
    CHECK(metadata_syncs == 0);
    REQUIRE(client->call<wire::Sync>({kInode, wire::Sync::kData | wire::Sync::kMetadata, 0})
                .has_value());
    CHECK(metadata_syncs == 1);
    REQUIRE(
        client->call<wire::Sync>({0, wire::Sync::kData | wire::Sync::kMetadata, 0}).has_value());
    CHECK(metadata_syncs == 2);
    Bytes into(1000);
    REQUIRE(client->call<wire::DropData>({kInode, 10, 0, 0}).has_value());
    CHECK(client->call<wire::Read>(read_request(0, 1000), {}, into)->payload_bytes == 10);
    REQUIRE(client->call<wire::DropData>({kInode, 0, 1, 0}).has_value());
    CHECK(client->call<wire::Read>(read_request(0, 1000), {}, into)->payload_bytes == 0);
    REQUIRE(client->call<wire::DropData>({kInode, 0, 1, 0}).has_value());  // again does no harm
  }
}

}  // namespace
}  // namespace benchfs
