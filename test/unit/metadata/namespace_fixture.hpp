// One server of two, with the other one played by the test: for the tests of the namespace.
#pragma once
#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "metadata/namespace.hpp"
#include "storage/loop_fixture.hpp"

namespace benchfs::metadata_test {

using testing::LoopFixture;
using testing::random_bytes;

/// The other servers: notes what it is told, fails as often as the test wants, waits if it says so.
struct FakePeers final : DropPeers {
  struct Told {
    ServerIndex server;
    InodeId inode;
    std::uint64_t size;
    bool remove;
    bool operator==(const Told&) const = default;
  };
  std::vector<Told> told;
  int failures = 0;
  Event* hold = nullptr;

  Task<Status> drop_data(ServerIndex server, InodeId inode, std::uint64_t size,
                         bool remove) override {
    told.push_back({server, inode, size, remove});
    if (hold != nullptr) {
      auto wait = hold->wait();
      co_await wait;
    }
    if (failures > 0) {
      --failures;
      co_return fail(Errc::unreachable);
    }
    co_return Status{};
  }
};

/// The others as a removal of a directory meets them.
struct FakeMarks final : RemovalPeers {
  struct Told {
    ServerIndex server;
    InodeId inode;
    std::uint32_t operation;
    bool operator==(const Told&) const = default;
  };
  std::vector<Told> told;
  std::optional<Errc> close_error;
  int failures = 0;  ///< of what tells the outcome
  Event* hold = nullptr;

  Task<Status> mark_directory(ServerIndex server, InodeId inode, std::uint64_t,
                              std::uint32_t operation) override {
    told.push_back({server, inode, operation});
    if (hold != nullptr) {
      auto wait = hold->wait();
      co_await wait;
    }
    if (operation == wire::MarkDirectory::kClose) {
      if (close_error) co_return fail(*close_error);
    } else if (failures > 0) {
      --failures;
      co_return fail(Errc::unreachable);
    }
    co_return Status{};
  }
};

/// The others as a rename or link meets them: what it is told, and the answers that the test gives.
struct FakeMoves final : MovePeers {
  std::vector<std::string> told;
  std::uint64_t token = 0;  ///< of the last call
  wire::PlaceEntry::Request placed{};
  wire::PlaceEntry::Reply answer{0, 0, wire::PlaceEntry::kPlaced, 0, 0};
  std::optional<Errc> gate_error;
  int failures = 0;  ///< of all calls

  Status outcome(std::string what, std::uint64_t of) {
    told.push_back(std::move(what));
    token = of;
    if (failures == 0) return {};
    --failures;
    return fail(Errc::unreachable);
  }
  Task<Result<wire::PlaceEntry::Reply>> place_entry(ServerIndex, wire::PlaceEntry::Request request,
                                                    std::string_view name) override {
    placed = request;
    BFS_CO_CHECK(reached, outcome("place " + std::string(name), request.token));
    co_return answer;
  }
  Task<Status> drop_link(ServerIndex, InodeId, std::uint64_t of) override {
    co_return outcome("drop", of);
  }
  Task<Status> forget_token(ServerIndex, std::uint64_t of) override {
    co_return outcome("forget", of);
  }
  Task<Result<std::uint64_t>> move_gate(ServerIndex, wire::MoveGate::Request request) override {
    const bool begin = request.operation == wire::MoveGate::kBegin;
    BFS_CO_CHECK(reached, outcome(begin ? "begin" : "end", request.token));
    if (begin && gate_error) co_return fail(*gate_error);
    co_return request.moves;
  }
};

struct NamespaceFixture : LoopFixture {
  static constexpr ServerIndex kSelf = 0;
  static constexpr Namespace::Owner kOwner{1000, 100};
  SlotMap map;
  FakePeers peers;
  std::unique_ptr<MetaStore> store;
  std::unique_ptr<ChunkStore> chunks;
  FakeMarks mark_peers;
  std::unique_ptr<DropQueue> drops;
  std::unique_ptr<Removals> removals;
  FakeMoves move_peers;
  std::unique_ptr<Tokens> tokens;
  std::unique_ptr<MoveGate> gate;
  std::unique_ptr<Links> links;
  std::unique_ptr<Moves> moves;
  std::unique_ptr<Namespace> names;
  InodeId parent = 0;  ///< a directory whose home is elsewhere

  explicit NamespaceFixture(std::uint64_t seed = 11) : map(SlotMap::initial(2, seed)) {
    for (std::uint32_t slot = 0; slot < kSlots && parent == 0; ++slot) {
      if (map.owner(static_cast<Slot>(slot)) != kSelf)
        parent = make_inode(static_cast<Slot>(slot), 500);
    }
    open();
  }
  ~NamespaceFixture() { close(); }
  void open() {
    store = *MetaStore::open({.directory = dir.path() + "/meta"}, *loop, *offload);
    chunks = *ChunkStore::create({.data_dir = dir.path(), .io_mode = IoMode::plain}, ring.get(),
                                 *offload);
    drops = std::make_unique<DropQueue>(
        *loop, *store, *chunks, map, peers,
        DropQueue::Options{.self = kSelf, .retry_min_ns = 1'000'000, .retry_max_ns = 5'000'000});
    removals = std::make_unique<Removals>(
        *loop, *store, map, mark_peers,
        Removals::Options{.self = kSelf, .retry_min_ns = 1'000'000, .retry_max_ns = 5'000'000});
    tokens = std::make_unique<Tokens>(*store);
    gate = std::make_unique<MoveGate>(*store);
    links = std::make_unique<Links>(
        *loop, *store, *drops, *tokens, map, move_peers,
        Links::Options{.self = kSelf, .retry_min_ns = 1'000'000, .retry_max_ns = 5'000'000});
    moves = std::make_unique<Moves>(
        *loop, *store, *removals, *links, *tokens, *gate, map, move_peers,
        Moves::Options{.self = kSelf, .retry_min_ns = 1'000'000, .retry_max_ns = 5'000'000});
    names = std::make_unique<Namespace>(*store, *drops, *removals, *links, *moves, map,
                                        Namespace::Options{.self = kSelf, .groups = {100, 200}});
    CHECK(run(names->start(kOwner)).has_value());
  }
  void close() {
    run(moves->close());
    run(links->close());
    run(drops->close());
    run(removals->close());
    names.reset();
    moves.reset();
    links.reset();
    gate.reset();
    tokens.reset();
    removals.reset();
    drops.reset();
    CHECK(run(store->close()).has_value());
    run(chunks->close());
    store.reset();
    chunks.reset();
  }
  /// A name under `parent` whose entry belongs to `server`.
  std::string name_of(ServerIndex server, int number = 0) const {
    for (int i = 0;; ++i) {
      std::string name = "file" + std::to_string(number) + "." + std::to_string(i);
      if (map.owner(entry_slot(parent, name)) == server) return name;
    }
  }
  Task<Result<wire::Open::Reply>> opening(std::string_view name, std::uint32_t flags,
                                          std::uint64_t chunk_bytes = 0) {
    return names->open({parent, chunk_bytes, 0640, flags}, name, kOwner);
  }
  Result<wire::Open::Reply> open_file(std::string_view name, std::uint32_t flags,
                                      std::uint64_t chunk_bytes = 0) {
    return run(opening(name, flags, chunk_bytes));
  }
  InodeId create(std::string_view name) {
    const auto made = open_file(name, wire::Open::kCreate);
    REQUIRE(made.has_value());
    return made->attributes.inode;
  }
  Result<wire::SetSize::Reply> set_size(InodeId inode, std::uint32_t operation,
                                        std::uint64_t size) {
    return run(names->set_size({inode, size, operation, 0}));
  }
  std::uint64_t size_of(InodeId inode) { return run(names->attributes(inode))->attributes.size; }
  void drain() {
    loop->run_until([&] {
      return drops->waiting() == 0 && removals->waiting() == 0 && moves->waiting() == 0 &&
             links->waiting() == 0;
    });
    run(store->committed());
  }
};

template <class T>
Errc code(const T& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error().code;
}

}  // namespace benchfs::metadata_test
