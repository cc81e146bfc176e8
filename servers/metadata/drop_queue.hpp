// Carries out the drop intents of the metadata store: data of shortened and removed files goes from
// this server and from all others, now or, where a server cannot be reached, as soon as it can.
#pragma once
#include <cstdint>
#include <functional>

#include "loop/loop.hpp"
#include "loop/sync.hpp"
#include "metadata/meta_store.hpp"
#include "placement/slot_map.hpp"
#include "storage/chunk_store.hpp"

namespace benchfs {

/// How the other servers are told. Implemented over net/ where the server is wired (one
/// wire::DropData call), and by the tests.
class DropPeers {
 public:
  virtual ~DropPeers() = default;
  /// Ends within the deadline of calls between servers.
  virtual Task<Status> drop_data(ServerIndex server, InodeId inode, std::uint64_t size,
                                 bool remove) = 0;
};

/// Single-threaded.
class DropQueue {
 public:
  struct Options {
    ServerIndex self = 0;
    std::uint32_t in_flight_max = 64;         ///< intents carried out at once
    std::int64_t retry_min_ns = 100'000'000;  ///< first pause before another try; doubles
    std::int64_t retry_max_ns = 10'000'000'000;
  };
  DropQueue(Loop& loop, MetaStore& store, ChunkStore& chunks, const SlotMap& map, DropPeers& peers,
            Options options);

  /// One try: here and, if the file is spread, on all other servers at the same time. When all have
  /// done it the intent is finished. Else the first error, with the server's index.
  Task<Status> carry_out(DropIntent intent);
  /// Tries until it is done or close() is called; then calls `done`, if it was done.
  void carry_out_later(DropIntent intent, std::function<void()> done = nullptr);

  /// Ends the tries. What is not finished stays recorded for the next start.
  Task<void> close();
  /// Intents that are being carried out later.
  std::size_t waiting() const { return background_.inside(); }

 private:
  Task<void> retry(DropIntent intent, std::function<void()> done);

  Loop& loop_;
  MetaStore& store_;
  ChunkStore& chunks_;
  const SlotMap& map_;
  DropPeers& peers_;
  Options options_;
  Semaphore permits_;
  Gate background_;
};

}  // namespace benchfs
