// The namespace operations of one server, without the network: entries whose slot it owns, and
// inodes whose home it is.
//
// Each operation looks and changes within one turn of the loop, without suspending in between, and
// then waits for the turn's batch: of two that create the same name, one is first. Nothing is
// answered that is not written.
//
// Whether the parent directory exists is checked where the parent's home is this server; elsewhere
// the client has just resolved it, and one that was removed since, or is being removed, is known
// from its mark (removals.hpp). The times of a parent directory do not change with its entries.
//
// Permissions: sessions have the identity of the job's one user, who owns every file. Modes and
// owners are kept and shown; a mode does not keep the owner from anything.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "metadata/drop_queue.hpp"
#include "metadata/links.hpp"
#include "metadata/meta_store.hpp"
#include "metadata/moves.hpp"
#include "metadata/removals.hpp"
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
    /// Whether the metadata may grow by an entry; null: always.
    std::function<Status()> room = nullptr;
    std::vector<std::uint32_t> groups;  ///< of the job's user, to which files may be given
  };
  /// Whose files are made, and who asks.
  struct Owner {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t session = 0;  ///< has what it opens open; 0: none
  };

  /// A page of a directory, as wire::ReadDirectory has it.
  struct Page {
    wire::ReadDirectory::Reply reply{};
    std::vector<std::byte> entries;
  };

  Namespace(MetaStore& store, DropQueue& drops, Removals& removals, Links& links, Moves& moves,
            const SlotMap& map, Options options);
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  /// Makes the root directory if it belongs here and is not there, and goes on with the drops that
  /// the last run did not finish.
  Task<Status> start(Owner owner);

  /// not_found.
  Task<Result<wire::Lookup::Reply>> lookup(InodeId parent, std::string_view name);
  /// not_found, exists, is_directory, loop (a symbolic link); invalid: chunk size; not_found,
  /// not_directory, being_removed of the parent.
  Task<Result<wire::Open::Reply>> open(wire::Open::Request request, std::string_view name,
                                       Owner owner);
  /// exists; not_found, not_directory, being_removed of the parent.
  Task<Result<wire::Mkdir::Reply>> make_directory(wire::Mkdir::Request request,
                                                  std::string_view name, Owner owner);
  /// not_found, is_directory, being_removed (it is just being renamed). With the last entry the
  /// inode goes; its data in the background.
  Task<Status> unlink(InodeId parent, std::string_view name);

  /// `names`: the link's name and then its target, as in wire::Symlink. exists; invalid;
  /// name_too_long; not_found: no target; not_found, not_directory, being_removed of the parent.
  Task<Result<wire::Symlink::Reply>> make_link(wire::Symlink::Request request,
                                               std::string_view names, Owner owner);
  /// not_found, not_directory, not_empty, being_removed, errors of other servers.
  Task<Status> remove_directory(InodeId parent, std::string_view name);
  /// invalid: bytes_max. not_found, not_directory where the directory's home is here; else a
  /// directory that is not there has no entries.
  Task<Result<Page>> read_directory(wire::ReadDirectory::Request request, std::string_view after);

  /// not_found, invalid: not a symbolic link.
  Task<Result<std::string>> read_link(InodeId inode);
  /// not_found; not_permitted: not the owner, or a new owner that only root may set; not_supported:
  /// mode of a symbolic link.
  Task<Result<wire::SetAttributes::Reply>> set_attributes(wire::SetAttributes::Request request,
                                                          Owner owner);
  /// The session has the file open. not_found: it has no name any more, unless it is held `again`;
  /// is_directory.
  Task<Result<wire::Hold::Reply>> hold(InodeId inode, bool again, std::uint64_t session);
  /// As Links::release().
  Task<Status> release(std::uint64_t session, std::span<const InodeId> inodes) {
    return links_.release(session, inodes);
  }
  void end_session(std::uint64_t session) { links_.end_session(session); }
  /// not_found.
  Task<Result<wire::GetAttributes::Reply>> attributes(InodeId inode);
  /// not_found, is_directory, too_big. A truncate returns when all servers have dropped the data,
  /// with the error of the first that has not; then the size is set, and until they have, every
  /// change of the size is refused with that error: data written meanwhile may be dropped, and must
  /// not pass for written. merge and extend wait for a truncate that is under way.
  Task<Result<wire::SetSize::Reply>> set_size(wire::SetSize::Request request);
  /// too_big, not_found, is_directory; waits for a truncate that is under way.
  Task<Result<wire::Append::Reply>> append_to(wire::Append::Request request);
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

  Status change_owner(const wire::SetAttributes::Request& request, Owner owner,
                      wire::Attributes& attributes) const;
  Result<Page> list(wire::ReadDirectory::Request request, std::string_view after) const;
  Status check_entry(InodeId parent, std::string_view name) const;
  Status check_parent(InodeId parent) const;
  /// not_found, is_directory; invalid: a symbolic link.
  Result<Inode> regular_file(InodeId number) const;
  bool owns(InodeId inode) const { return map_.home(inode) == options_.self; }
  Error missing(InodeId parent, std::string_view name, Entry entry, Error error) const;
  Task<Result<wire::Open::Reply>> open_existing(InodeId parent, std::string_view name, Entry entry,
                                                std::uint32_t flags, std::uint64_t session);
  Task<void> let_go(std::uint64_t session, InodeId inode);
  /// What a crash has left open.
  Task<Status> collect_nameless(std::span<const DropIntent> drops);
  /// Waits for a change of the truncate that is under way, if one is; its error if it is stuck.
  Task<Status> truncation_over(InodeId inode);
  Task<Result<wire::Attributes>> truncate(InodeId inode, std::uint64_t size);
  void end_truncation(InodeId inode);

  MetaStore& store_;
  DropQueue& drops_;
  Removals& removals_;
  Links& links_;
  Moves& moves_;
  const SlotMap& map_;
  Options options_;
  std::unordered_map<InodeId, std::shared_ptr<Truncation>> truncations_;
};

}  // namespace benchfs
