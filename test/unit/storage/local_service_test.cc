// Chunk files given to a client on the same host, both sides on one loop.
#include "storage/local_service.hpp"
#include "storage/file_chunks.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/text.hpp"
#include "client/local_access.hpp"
#include "net/host.hpp"
#include "storage/arena.hpp"
#include "storage/loop_fixture.hpp"
#include "storage/memory_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;
using testing::random_bytes;
using testing::TempDir;

constexpr InodeId kInode = make_inode(3, 7);

struct LocalFixture : LoopFixture {
  std::unique_ptr<ChunkStore> store;
  std::unique_ptr<Space> space;  ///< null: without a limit
  std::unique_ptr<LocalService> service;
  std::vector<ServerRecord> records{1};

  LocalFixture() {
    store =
        *ChunkStore::create({.data_dir = dir.path(), .io_mode = IoMode::plain}, nullptr, *offload);
    records[0].host_id = host_id();
    records[0].instance = 0x1000'0000'0000 + static_cast<std::uint64_t>(getpid());
  }
  void serve(std::size_t shares_max = 64) {
    auto started = LocalService::start(*loop, *store,
                                       {.instance = records[0].instance,
                                        .shares_max = shares_max,
                                        .clients_max = 8,
                                        .space = space.get()});
    REQUIRE(started.has_value());
    service = std::move(*started);
  }
  void stop() {
    if (service != nullptr) run(service->close());
    service.reset();
  }
  ~LocalFixture() {
    stop();
    space.reset();
    run(store->close());
  }
  LocalAccess client(bool enabled = true) { return LocalAccess(*loop, records, enabled, 2000); }
  Result<Fd> open(LocalAccess& local, unsigned stripe, bool create) {
    return run(local.open(0, kInode, stripe, create));
  }
  /// Turns the loop until `done` is true.
  template <class Predicate>
  bool eventually(Predicate done) {
    for (int i = 0; i < 2000 && !done(); ++i) run(pause());
    return done();
  }
  Task<void> pause() { co_await loop->sleep_ns(1'000'000); }
};

/// The same on storage in memory; without such, on local files.
struct ArenaServiceFixture : LocalFixture {
  TempDir memory{testing::memory()};

  ArenaServiceFixture() {
    run(store->close());
    store = *ChunkStore::create({.data_dir = memory.path()}, nullptr, *offload);
    serve();
  }
  ~ArenaServiceFixture() {
    stop();
    run(store->close());
    store = *ChunkStore::create({.data_dir = dir.path()}, nullptr, *offload);
  }
  Status open_up(LocalAccess& local, std::uint64_t segment, bool create, std::uint32_t count = 1) {
    return run(local.open_up(0, kInode, segment, 22, count, create));
  }
  static bool copy_in(LocalAccess& local, std::uint64_t segment, std::span<const std::byte> from) {
    const arena::View::Access access(*local.arena(0));
    arena::SegmentMap* map = access.valid() ? local.arena(0)->find(kInode, segment) : nullptr;
    return map != nullptr && local.arena(0)->write(*map, 0, from) == from.size();
  }
  static std::vector<std::byte> copy_out(LocalAccess& local, std::uint64_t segment,
                                         std::size_t bytes) {
    std::vector<std::byte> into(bytes);
    const arena::View::Access access(*local.arena(0));
    arena::SegmentMap* map = access.valid() ? local.arena(0)->find(kInode, segment) : nullptr;
    into.resize(map != nullptr ? local.arena(0)->read(*map, 0, into) : 0);
    return into;
  }
};

TEST_SUITE("local service") {
  TEST_CASE_FIXTURE(LocalFixture,
                    "local service: what the client writes the store reads, and back") {
    serve();
    LocalAccess local = client();
    REQUIRE(local.possible());
    auto missing = open(local, 0, false);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().code == Errc::not_found);

    auto file = open(local, 0, true);
    REQUIRE(file.has_value());
    const auto data = random_bytes(10'000, 1);
    REQUIRE(pwrite(file->get(), data.data(), data.size(), 5) == 10'000);
    std::vector<std::byte> back(10'000);
    CHECK(*run(store->read(kInode, 5, back)) == back.size());
    CHECK(back == data);

    const auto more = random_bytes(300, 2);
    REQUIRE(run(store->write(kInode, 20'000, more)).has_value());
    back.resize(300);
    CHECK(pread(file->get(), back.data(), 300, 20'000) == 300);
    CHECK(back == more);
  }

  TEST_CASE_FIXTURE(LocalFixture,
                    "local service: bytes that a client wrote are counted and stored") {
    serve();
    LocalAccess local = client();
    auto file = open(local, 1, true);
    REQUIRE(file.has_value());
    const auto data = random_bytes(1 << 20, 3);
    for (int i = 0; i < 2; ++i) {
      REQUIRE(pwrite(file->get(), data.data(), data.size(), i << 20) == 1 << 20);
      local.count(0, true, data.size());
      CHECK(service->moved().written_bytes == static_cast<std::uint64_t>(i + 1) << 20);
      CHECK(store->usage()->stored_bytes >= static_cast<std::uint64_t>(i + 1) << 20);
    }
    local.count(0, false, 77);
    CHECK(service->moved().read_bytes == 77);
    CHECK(service->moved().requests == 3);
  }

  TEST_CASE_FIXTURE(LocalFixture, "local service: clients write only what the server lends them") {
    constexpr std::uint64_t kMi = 1 << 20;
    space = std::make_unique<Space>(*loop, *store, Space::Options{.limit_bytes = 64 * kMi});
    serve();
    LocalAccess first = client();
    CHECK_FALSE(first.borrow(0, 1));  // not connected
    auto file = open(first, 0, true);
    REQUIRE(file.has_value());
    CHECK(first.blocks_of(0, 1, 1).bytes() == store->device()->block_bytes);
    CHECK(service->lent() == 45 * kMi);
    CHECK(first.borrow(0, 40 * kMi));
    CHECK_FALSE(first.borrow(0, 6 * kMi));
    CHECK(service->lent() == 40 * kMi);
    first.give_back(0, 40 * kMi);
    CHECK(service->lent() == 0);
    // What is called back is lent again in a while, and divided anew.
    CHECK(eventually([&] { return service->lent() == 45 * kMi; }));
    CHECK(first.borrow(0, 10 * kMi));
    service->recall();
    CHECK(service->lent() == 10 * kMi);
    CHECK_FALSE(first.borrow(0, 1));
    first.give_back(0, 10 * kMi);
    LocalAccess second = client();
    auto other = open(second, 1, true);
    REQUIRE(other.has_value());
    CHECK(eventually([&] { return service->lent() / kMi == 45; }));
    CHECK_FALSE(first.borrow(0, 23 * kMi));
    CHECK_FALSE(second.borrow(0, 23 * kMi));
    CHECK(eventually([&] { return service->lent() / kMi == 45; }));
    CHECK(second.borrow(0, 22 * kMi));
  }

  TEST_CASE_FIXTURE(LocalFixture, "local service: files that are made are counted, by whomever") {
    serve();
    LocalAccess local = client();
    CHECK(local.files_made(0) == 0);  // not connected
    CHECK(open(local, 0, false).error().code == Errc::not_found);
    const std::uint64_t before = local.files_made(0);
    CHECK(before > 0);
    REQUIRE(open(local, 0, true).has_value());
    CHECK(local.files_made(0) == before + 1);
    const std::array<std::byte, 1> data{};
    REQUIRE(run(store->write(kInode, kStripeBytes, data)).has_value());
    CHECK(local.files_made(0) == before + 2);
    REQUIRE(open(local, 1, true).has_value());  // is there
    CHECK(local.files_made(0) == before + 2);
  }

  TEST_CASE_FIXTURE(LocalFixture, "local service: the counts of a client that has gone stay") {
    serve();
    {
      LocalAccess local = client();
      REQUIRE(open(local, 0, true).has_value());
      local.count(0, true, 123);
    }
    run(pause());
    CHECK(eventually([&] { return service->moved().written_bytes == 123; }));
    LocalAccess next = client();
    REQUIRE(open(next, 0, true).has_value());
    CHECK(next.ordinal() == 1);
    CHECK(service->moved().written_bytes == 123);
  }

  TEST_CASE_FIXTURE(LocalFixture,
                    "local service: a file that is given out stays open, and is closed after") {
    serve();
    LocalAccess local = client();
    auto files = std::make_unique<LocalFiles>(1);
    for (unsigned i = 0; i < kStripeFiles; ++i) {
      auto file = open(local, i, true);
      REQUIRE(file.has_value());
      files->at(0, i).fd = std::move(*file);
    }
    REQUIRE(run(store->remove(kInode)).has_value());
    CHECK_FALSE(std::filesystem::exists(dir.path() + "/" + FileChunks::path_of(kInode)));
    // The name is gone, the file is not: its writer harms nobody.
    CHECK(pwrite(files->at(0, 0).fd.get(), "x", 1, 0) == 1);
    std::vector<std::byte> back(1);
    CHECK(*run(store->read(kInode, 0, back)) == 0);
    local.release(kInode, *files);
    CHECK_FALSE(files->at(0, 0).fd);
  }

  TEST_CASE_FIXTURE(
      LocalFixture,
      "local service: no more descriptors than it may give, and again after a release") {
    serve(2);
    LocalAccess local = client();
    auto a = open(local, 0, true);
    auto b = open(local, 1, true);
    REQUIRE(a.has_value());
    REQUIRE(b.has_value());
    auto c = open(local, 2, true);
    REQUIRE_FALSE(c.has_value());
    CHECK(c.error().code == Errc::busy);
    CHECK(local.usable(0));
    local.release(0, kInode, 0, *a);
    CHECK(open(local, 2, true).has_value());
  }

  TEST_CASE_FIXTURE(LocalFixture,
                    "local service: a server that hangs up is noticed, and not asked again") {
    serve();
    LocalAccess local = client();
    auto file = open(local, 0, true);
    REQUIRE(file.has_value());
    CHECK(local.usable(0));
    stop();
    CHECK(eventually([&] { return !local.usable(0); }));
    CHECK_FALSE(local.possible());
    auto again = open(local, 1, true);
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().code != Errc::not_found);
  }

  TEST_CASE_FIXTURE(
      LocalFixture,
      "local service: nobody listens, another host, turned off, a limit on file sizes") {
    {
      LocalAccess local = client();
      CHECK(local.usable(0));  // not known yet
      auto file = open(local, 0, true);
      REQUIRE_FALSE(file.has_value());
      CHECK(file.error().code == Errc::unreachable);
      CHECK_FALSE(local.usable(0));
    }
    serve();
    CHECK_FALSE(client(false).possible());
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    rlimit lowered = before;
    lowered.rlim_cur = 1 << 30;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &lowered) == 0);
    CHECK_FALSE(client().possible());
    setrlimit(RLIMIT_FSIZE, &before);
    ++records[0].host_id;
    LocalAccess other = client();
    CHECK_FALSE(other.possible());
    CHECK_FALSE(other.usable(0));
  }

  TEST_CASE_FIXTURE(LocalFixture,
                    "local service: a client that sends nonsense is hung up on, alone") {
    serve();
    LocalAccess good = client();
    auto file = open(good, 0, true);
    REQUIRE(file.has_value());
    local::Request wrong_op{}, wrong_stripe{};
    wrong_op.op = static_cast<local::Op>(99);
    wrong_stripe.op = local::Op::share;
    wrong_stripe.stripe = kStripeFiles;
    const std::byte odd[7] = {};
    const std::span<const std::byte> packets[] = {std::as_bytes(std::span{&wrong_op, 1}),
                                                  std::as_bytes(std::span{&wrong_stripe, 1}), odd};
    for (const auto& packet : packets) {
      auto socket = local::connect_to(records[0].instance);
      REQUIRE(socket.has_value());
      REQUIRE(local::send_packet(*socket, packet).has_value());
      CHECK(eventually([&] { return local::hung_up(*socket); }));
    }
    CHECK(good.usable(0));
    CHECK(open(good, 1, true).has_value());
  }

  TEST_CASE_FIXTURE(
      LocalFixture,
      "local service: a server that does not answer is given up within the time limit") {
    auto listener = local::listen_on(records[0].instance);
    REQUIRE(listener.has_value());
    LocalAccess local(*loop, records, true, 50);
    auto file = open(local, 0, true);
    REQUIRE_FALSE(file.has_value());
    CHECK(file.error().code == Errc::timed_out);
    CHECK_FALSE(local.usable(0));
  }

  TEST_CASE_FIXTURE(ArenaServiceFixture,
                    "local service: a client writes to and reads from an arena") {
    if (store->arena() == nullptr) return;
    LocalAccess local = client();
    CHECK_FALSE(local.connected(0));
    REQUIRE(run(local.ready(0)).has_value());
    REQUIRE(local.arena(0) != nullptr);
    const auto small = random_bytes(3901, 1), data = random_bytes(100'000, 2);
    // Nothing, then a small file that is in the pack, and comes into the arena for him.
    CHECK(open_up(local, 0, false).error().code == Errc::not_found);
    REQUIRE(run(store->write(kInode, 0, small)).has_value());
    CHECK_FALSE(store->arena()->has(kInode));
    REQUIRE(open_up(local, 0, false).has_value());
    CHECK(copy_out(local, 0, 3901) == small);
    // Segments are opened ahead.
    REQUIRE(open_up(local, 3, true, 5).has_value());
    for (std::uint64_t segment = 3; segment < 8; ++segment) {
      CHECK(store->arena()->has_segment(kInode, segment));
    }
    CHECK_FALSE(store->arena()->has_segment(kInode, 8));
    REQUIRE(copy_in(local, 3, data));
    std::vector<std::byte> back(data.size());
    CHECK(*run(store->read(kInode, 3u << 20, back)) == back.size());
    CHECK(back == data);
  }

  TEST_CASE_FIXTURE(ArenaServiceFixture,
                    "local service: of a file with a quota nothing is opened up to be written") {
    if (store->arena() == nullptr) return;
    LocalAccess local = client();
    const InodeId limited = make_inode(3, 7, 5);
    const auto refused = run(local.open_up(0, limited, 0, 22, 1, true));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::not_supported);
    CHECK_FALSE(store->arena()->has(limited));
    CHECK(local.usable(0));
  }

  TEST_CASE_FIXTURE(ArenaServiceFixture,
                    "local service: what a client of an arena held is free when it has gone") {
    if (store->arena() == nullptr) return;
    const auto data = random_bytes(100, 2);
    REQUIRE(run(store->write(kInode, 1u << 20, data)).has_value());
    const Arena& arena = *store->arena();
    CHECK(eventually([&] { return arena.free_bytes() >= 8u << 20; }));  // some are kept ready
    {
      LocalAccess local = client();
      REQUIRE(open_up(local, 2, true).has_value());
      REQUIRE(copy_in(local, 2, data));
      run(store->remove(kInode));
    }
    LocalAccess other = client();
    REQUIRE(run(other.ready(0)).has_value());
    CHECK(eventually([&] {
      store->tend();
      return arena.used_bytes() == 0;
    }));
    CHECK(other.usable(0));
  }

  TEST_CASE_FIXTURE(
      ArenaServiceFixture,
      "local service: who asks for segments without an arena, or of no file, gets none") {
    const auto ask = [&](local::Request request) {
      auto socket = local::connect_to(records[0].instance);
      REQUIRE(socket.has_value());
      REQUIRE(local::send_packet(*socket, std::as_bytes(std::span{&request, 1})).has_value());
      return std::move(*socket);
    };
    local::Request request{};
    request.op = local::Op::open_up;
    request.inode = kInode;
    const Fd hasty = ask(request);  // before it has a slot
    local::Reply reply{};
    if (store->arena() != nullptr) {
      CHECK(eventually([&] { return local::hung_up(hasty); }));
      LocalAccess local = client();
      CHECK(open_up(local, ~0ull, true).error().code == Errc::bad_message);
      CHECK(run(local.open_up(0, kInode, 0, 99, 1, true)).error().code == Errc::bad_message);
      CHECK_FALSE(store->arena()->has(kInode));
    } else {
      CHECK(eventually([&] {
        return local::receive_packet(hasty, std::as_writable_bytes(std::span{&reply, 1}))
            .has_value();
      }));
      CHECK(reply.status == static_cast<std::uint32_t>(Errc::not_supported));
    }
  }
}

}  // namespace
}  // namespace benchfs
