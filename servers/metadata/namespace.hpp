// The namespace operations of one server, without the network: entries whose slot it owns, and
// inodes whose home it is.
//
// Each operation looks and changes within one turn of the loop, without suspending in between, and
// then waits for the turn's batch: of two that create the same name, one is first. Nothing is
// answered that is not written.
//
// Whether the parent directory exists is checked where the parent's home is this server; elsewhere
// the client has just resolved it, and an entry made under a directory that is being removed at
// that moment is what the removal of directories has to deal with (it first makes all servers
// refuse new entries). The times of a parent directory do not change with its entries.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "metadata/drop_queue.hpp"
#include "metadata/meta_store.hpp"
#include "placement/slot_map.hpp"
#include "wire/messages.hpp"

namespace benchfs {

/// Single-threaded. Names stay valid until the task has ended. Errors of all operations:
/// stale_epoch if this server does not own what is asked for under its map; invalid or
/// name_too_long for a bad name; io, no_space of the metadata's storage.
class Namespace {
 public:
  struct Options {
    ServerIndex self = 0;
    std::uint64_t default_chunk_bytes = kChunkBytesDefault;
  };
  /// Whose files are made.
  struct Owner {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
  };

  Namespace(MetaStore& store, DropQueue& drops, const SlotMap& map, Options options);
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  /// Makes the root directory if it belongs here and is not there, and goes on with the drops that
  /// the last run did not finish.
  Task<Status> start(Owner owner);

  /// not_found.
  Task<Result<wire::Lookup::Reply>> lookup(InodeId parent, std::string_view name);
  /// not_found, exists, is_directory; invalid: chunk size; not_found, not_directory of the parent.
  Task<Result<wire::Open::Reply>> open(wire::Open::Request request, std::string_view name,
                                       Owner owner);
  /// exists; not_found, not_directory of the parent.
  Task<Result<wire::Mkdir::Reply>> make_directory(wire::Mkdir::Request request,
                                                  std::string_view name, Owner owner);
  /// not_found, is_directory. The data goes in the background.
  Task<Status> unlink(InodeId parent, std::string_view name);

  /// not_found.
  Task<Result<wire::GetAttributes::Reply>> attributes(InodeId inode);
  /// not_found, is_directory, too_big. A truncate returns when all servers have dropped the data,
  /// with the error of the first that has not; then the size is set, and until they have, every
  /// change of the size is refused with that error: data written meanwhile may be dropped, and must
  /// not pass for written. merge and extend wait for a truncate that is under way.
  Task<Result<wire::SetSize::Reply>> set_size(wire::SetSize::Request request);
  /// not_found, is_directory.
  Task<Status> mark_spread(InodeId inode);

 private:
  /// A truncate whose data has not gone everywhere yet.
  struct Truncation {
    std::uint32_t unfinished = 0;  ///< drops that have to end first
    bool stuck = false;            ///< it has failed, and is being repeated in the background
    Error error{Errc::busy};
    WaitQueue changed;
  };

  Status check_entry(InodeId parent, std::string_view name) const;
  Status check_parent(InodeId parent) const;
  bool owns(InodeId inode) const { return map_.home(inode) == options_.self; }
  Task<Result<wire::Open::Reply>> open_existing(Entry entry, std::uint32_t flags);
  /// Waits for a change of the truncate that is under way, if one is; its error if it is stuck.
  Task<Status> truncation_over(InodeId inode);
  Task<Result<wire::Attributes>> truncate(InodeId inode, std::uint64_t size);
  void end_truncation(InodeId inode);

  MetaStore& store_;
  DropQueue& drops_;
  const SlotMap& map_;
  Options options_;
  std::unordered_map<InodeId, std::shared_ptr<Truncation>> truncations_;
};

}  // namespace benchfs
