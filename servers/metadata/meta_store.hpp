// The metadata of one server: directory entries, inodes, and the system's own records. Changes are
// a batch until they are written to a journal, which survives the process. They stay in memory,
// too, and go to RocksDB behind the operations, many together, when a journal is full. Reads see
// all of it.
//
//   column family  key                              value
//   dentry         parent inode (big-endian), name  EntryRecord
//   inode          inode (big-endian)               InodeRecord
//                  inode (big-endian), "t"          target of a symbolic link
//                  inode (big-endian), "x", name    value of an extended attribute
//   system         "format"                         u32: version of all of this
//                  "counter"                        u64: inode numbers below it may have been given
//                  "files"                          u64: regular files
//                  "drop", number (big-endian)      DropRecord: data that must still be dropped
//                  "mark", inode (big-endian)       MarkRecord: a directory closed or removed
//                  "rmdir", token (big-endian)      RemovalRecord: a removal not known everywhere
//                  "move", token (big-endian)       MoveRecord: a rename or link that is not
//                  finished "applied", token (big-endian)    AppliedRecord: done here for another
//                  server "permit"                         u64: token of the move that the gate let
//                  through
// Values are little-endian, with a version of their own.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.hpp"
#include "base/types.hpp"
#include "loop/offload.hpp"
#include "loop/sync.hpp"
#include "wire/messages.hpp"

namespace benchfs {

/// What a name stands for.
struct Entry {
  InodeId inode = 0;
  std::uint32_t type = 0;  ///< S_IFREG, S_IFDIR or S_IFLNK
};

struct Inode {
  wire::Attributes attributes{};
  bool spread = false;  ///< other servers may hold data of it
  bool xattrs = false;  ///< it has had extended attributes
};

/// Data of a file that is to go from every server that has some: the work of a truncate or unlink
/// that is not finished, kept over a crash.
struct DropIntent {
  std::uint64_t number = 0;
  InodeId inode = 0;
  std::uint64_t size = 0;  ///< data at and beyond it goes
  bool remove = false;     ///< all of it goes
  bool spread = false;     ///< not only here
};

/// What this server knows of a directory that is or was being removed, kept over a crash; see
/// removals.hpp.
struct DirectoryMark {
  enum class State : std::uint32_t { closed = 1, released = 2, removed = 3 };
  InodeId inode = 0;
  std::uint64_t token = 0;
  State state = State::closed;
  std::int64_t since_ns = 0;  ///< wall clock
};
/// A removal whose directory's entry is (was) here, and which not all servers have heard the end
/// of.
struct RemovalIntent {
  std::uint64_t token = 0;
  InodeId inode = 0;
  DirectoryMark::State state = DirectoryMark::State::closed;
};

/// A change of entries that more than this server has a part in, kept over a crash; see moves.hpp.
struct MoveIntent {
  enum class Kind : std::uint32_t { rename = 1, link = 2, drop_link = 3 };
  /// ended: it is decided and carried out here, and others have to hear that.
  enum class State : std::uint32_t { begun = 1, ended = 2 };
  std::uint64_t token = 0;
  Kind kind = Kind::rename;
  State state = State::begun;
  std::uint32_t flags = 0;  ///< of wire::PlaceEntry
  std::uint64_t moves = 0;  ///< what the gate had counted; 0: not through the gate
  Entry entry;              ///< what gets a new name; of drop_link: whose entry is gone
  InodeId from_parent = 0;  ///< rename alone
  std::string from{};
  InodeId to_parent = 0;
  std::string to{};
};
/// What this server has done for a token of another one.
struct Applied {
  std::uint64_t token = 0;
  Entry replaced;  ///< by an exchange
};

/// Single-threaded. Changes are begun by calls that return at once and are in the batch;
/// `co_await committed()` writes it, and says whether that was done. If it was not, none of its
/// changes happened. What nobody waits for is written in the next turn of the loop.
class MetaStore {
 public:
  struct Options {
    std::string directory;                  ///< made if missing
    std::uint64_t numbers_reserved = 4096;  ///< inode numbers made durable at a time
    /// Bytes of changes after which they go to RocksDB. While that is slow there may be four times
    /// as many; memory is needed for those, and for those on their way.
    std::uint64_t journal_bytes = 16u << 20;
  };
  /// Errors are logged with the path: busy if another process has it open, version if it is not
  /// ours.
  static Result<std::unique_ptr<MetaStore>> open(Options options, Loop& loop, Offload& offload);
  ~MetaStore();
  MetaStore(const MetaStore&) = delete;
  MetaStore& operator=(const MetaStore&) = delete;

  // ---- reads, the batch included. Errors: not_found, io ----
  Result<Entry> entry(InodeId parent, std::string_view name) const;
  Result<Inode> inode(InodeId inode) const;
  /// Of a symbolic link.
  Result<std::string> target(InodeId inode) const;
  Result<std::string> xattr(InodeId inode, std::string_view name) const;
  /// Names of the extended attributes, in the order of their bytes.
  Result<std::vector<std::string>> xattr_names(InodeId inode) const;
  /// Calls `visit` for the entries of `parent` that are here, in the order of their names' bytes,
  /// from the first one after `after` on, until it returns false.
  Status entries(InodeId parent, std::string_view after,
                 const std::function<bool(std::string_view name, Entry entry)>& visit) const;

  /// Everything changed so far has gone to RocksDB. An error: it was tried, and will be again.
  Task<Status> settled();
  // Of everything, as RocksDB has it: what was changed after the last settled() may not be seen. In
  // the order of the keys, from the first one after the given one on (0: from the start), until
  // `visit` returns false. Other threads may call them, too: in the hash table of the inodes an
  // iterator first has to sort.
  Status scan_entries(
      InodeId parent, std::string_view after,
      const std::function<bool(InodeId parent, std::string_view name, Entry entry)>& visit) const;
  Status scan_inodes(InodeId after, const std::function<bool(const Inode& inode)>& visit) const;

  // ---- changes ----
  void put_entry(InodeId parent, std::string_view name, Entry entry);
  void remove_entry(InodeId parent, std::string_view name);
  void create_inode(const Inode& inode);
  void update_inode(const Inode& inode);
  /// With its target and its extended attributes.
  void remove_inode(const Inode& inode);
  void put_target(InodeId inode, std::string_view target);
  /// The inode has `xattrs` set, in this batch or before.
  void put_xattr(InodeId inode, std::string_view name, std::string_view value);
  void remove_xattr(InodeId inode, std::string_view name);
  void put_mark(const DirectoryMark& mark);
  void remove_mark(InodeId inode);
  void put_removal(const RemovalIntent& intent);
  void remove_removal(std::uint64_t token);
  void put_move(const MoveIntent& intent);
  void remove_move(std::uint64_t token);
  void put_applied(const Applied& applied);
  void remove_applied(std::uint64_t token);
  /// 0: none.
  void put_permit(std::uint64_t token);
  /// Records that data must go; to be carried out once committed. Gives the intent its number.
  DropIntent add_drop(DropIntent intent);
  /// The same intent, changed.
  void update_drop(const DropIntent& intent);
  /// It is done. That of a remove goes with the next batch, whenever that is: to remove twice does
  /// no harm. That of a truncate is a change like any other: await committed() before new data may
  /// come.
  void finish_drop(const DropIntent& intent);

  /// True while changes wait to be written.
  bool pending() const { return pending_; }
  /// All changes begun so far are written (not: on the device). At once if there are none.
  Task<Status> committed();
  /// All changes begun so far are on the device. Callers that come together share one sync.
  Task<Status> sync();

  // ---- inode numbers, see docs/adr/0003-inode-numbers.md ----
  /// A number that was never given out before and never will be again. Only while number_left().
  InodeId next_inode(Slot home);
  bool number_left() const { return next_ < limit_; }
  /// Waits until more numbers are reserved. Then look at number_left() again: others may have been
  /// faster.
  Task<Status> more_numbers();
  /// Numbers below `counter` are never given out from now on (a slot was taken over from a server
  /// that may have used them).
  Task<Status> raise_counter(std::uint64_t counter);
  std::uint64_t counter_limit() const { return limit_; }

  /// Regular files whose home is here.
  std::uint64_t files() const { return files_; }
  /// Intents that are not finished, oldest first.
  Result<std::vector<DropIntent>> drops() const;
  Result<std::vector<DirectoryMark>> marks() const;
  Result<std::vector<RemovalIntent>> removals() const;
  Result<std::vector<MoveIntent>> moves() const;
  Result<std::vector<Applied>> applied() const;
  /// 0: none.
  Result<std::uint64_t> permit() const;
  /// Writes and syncs what is pending, waits for what runs, and closes the database.
  Task<Status> close();

 private:
  struct Database;  ///< RocksDB, which stays out of this header
  struct Batch {
    Event written;
    Status outcome;
  };
  struct SyncRound {
    Event done;
    Status outcome;
  };

  MetaStore(Options options, Loop& loop, Offload& offload);
  Status start();
  Status check_format(std::uint32_t format, bool found);
  void touch();
  void remove_xattrs(InodeId inode);
  void start_reserve();
  Task<void> write_later();
  bool fits() const;
  Status write();
  void roll_back();
  Status begin_generation();
  Task<void> move_down();
  Task<bool> move_all_down();
  void settle_blocked(Status outcome);
  Task<void> sync_rounds();
  Task<void> reserve(std::uint64_t limit);
  Status store_counter(std::uint64_t limit);

  Options options_;
  Loop& loop_;
  Offload& offload_;
  std::unique_ptr<Database> database_;
  bool volatile_ = false;  ///< the storage is memory: a sync has nothing to do
  bool pending_ = false;
  bool write_scheduled_ = false;
  bool write_failed_ = false;                  ///< and was logged
  std::shared_ptr<Batch> blocked_;             ///< the batch waits until the journal has room again
  bool moving_ = false;                        ///< older changes to RocksDB
  std::uint64_t moved_ = 0, generations_ = 0;  ///< generations that are in RocksDB; that have begun
  Status moved_last_;
  WaitQueue moves_down_;                   ///< woken by each success and failure
  std::shared_ptr<SyncRound> next_round_;  ///< has not begun: whoever comes now joins it
  std::shared_ptr<SyncRound> running_round_;
  bool syncing_ = false;
  std::uint64_t files_ = 0;
  std::int64_t files_change_ = 0;  ///< by the batch
  std::uint64_t next_drop_ = 1;
  std::vector<std::uint64_t> finished_drops_;  ///< still recorded
  std::uint64_t next_ = 0;                     ///< next number to give out
  std::uint64_t limit_ = 0;                    ///< numbers below it are reserved, durably
  bool reserving_ = false;
  Status reserved_;  ///< outcome of the last reservation
  WaitQueue numbers_;
  Gate background_;
};

}  // namespace benchfs
