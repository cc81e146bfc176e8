// The data messages: read, write, sync, drop_data. Each request is checked as a whole, takes one
// block of the pool if its data has to be fetched or sent, and is done by the chunk store.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "net/service.hpp"
#include "placement/slot_map.hpp"
#include "quota/shares.hpp"
#include "storage/buffer_pool.hpp"
#include "storage/chunk_store.hpp"
#include "storage/piece_list.hpp"
#include "storage/space.hpp"

namespace benchfs {

/// The sizes of the files whose home is this server, as the metadata have them.
class HomeSizes {
 public:
  virtual ~HomeSizes() = default;
  /// size = max(size, end), for a write that has just been done. not_found: removed meanwhile.
  virtual Task<Status> merge(InodeId inode, std::uint64_t end) = 0;
  virtual Task<Result<std::uint64_t>> size(InodeId inode) = 0;
};

/// Wiring, all of it outliving the service:
///     auto pool = BufferPool::create(config.pool_bytes,
///     DataService::block_bytes(config.rpc_bytes_max));
///     (*pool)->register_with(*ring);
///     DataService data(*loop, **chunk_store, **pool, slot_map, [&] { return meta_store->sync(); },
///                      dispatcher.counters(), {.self = index, .rpc_bytes_max =
///                      config.rpc_bytes_max});
///     data.add_to(dispatcher);
class DataService {
 public:
  struct Options {
    ServerIndex self = 0;
    std::size_t rpc_bytes_max = 1u << 20;
    Space* space = nullptr;         ///< admits writes; null: all
    QuotaShares* quotas = nullptr;  ///< admits writes to files with a quota; null: all
    HomeSizes* sizes = nullptr;     ///< null: no file has its home here
  };
  /// Brings the log of the metadata to the device.
  using SyncMetadata = std::function<Task<Status>()>;

  DataService(Loop& loop, ChunkStore& store, BufferPool& pool, const SlotMap& map,
              SyncMetadata sync_metadata, ServiceCounters& counters, Options options);
  DataService(const DataService&) = delete;
  DataService& operator=(const DataService&) = delete;

  /// Size of the pool's large blocks: the data and the table of the largest request.
  static constexpr std::size_t block_bytes(std::size_t rpc_bytes_max) {
    return rpc_bytes_max + wire::kPiecesMax * sizeof(wire::Piece);
  }
  void add_to(Dispatcher& dispatcher);

  Task<void> read(Incoming incoming);
  Task<void> write(Incoming incoming);
  Task<void> sync(Incoming incoming);
  Task<void> drop_data(Incoming incoming);

  // The work of the handlers, without the network.

  /// Reads the pieces into `into`, packed. Of a list every byte is given, with zeros where there is
  /// no data; of a single piece only what exists. data_end: ~0, or the offset at and
  /// beyond which no piece met data, if one met less than it asked for.
  Task<Result<wire::Read::Reply>> read_pieces(InodeId inode, PieceList list,
                                              std::span<std::byte> into);
  /// Writes the pieces from `data`, packed. After an error any part of them may have been written.
  Task<Status> write_pieces(InodeId inode, PieceList list, std::span<const std::byte> data);

 private:
  Task<void> write_fetched(Incoming& incoming, PieceList::Request request, std::size_t table_bytes);
  Task<void> finish_write(Incoming& incoming, PieceList::Request request,
                          std::span<const std::byte> payload, std::size_t table_bytes);
  Task<void> refuse(Incoming& incoming, Error error);
  bool home_of(InodeId inode) const {
    return options_.sizes != nullptr && map_.home(inode) == options_.self;
  }
  Task<Result<bool>> merge_size(InodeId inode, std::uint64_t end);

  Loop& loop_;
  ChunkStore& store_;
  BufferPool& pool_;
  const SlotMap& map_;
  SyncMetadata sync_metadata_;
  ServiceCounters& counters_;
  Options options_;
};

}  // namespace benchfs
