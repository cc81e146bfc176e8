// One session: the loop, the network, the cluster's map, and the operations as coroutines. The C
// interface (capi_*.cc) runs them; nothing here knows of it.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "base/client_config.hpp"
#include "base/secret.hpp"
#include "benchfs.h"
#include "client/directory.hpp"
#include "client/entry_cache.hpp"
#include "client/file.hpp"
#include "client/holds.hpp"
#include "client/local_access.hpp"
#include "client/staging.hpp"
#include "loop/loop.hpp"
#include "net/caller.hpp"
#include "net/cluster_info.hpp"
#include "net/fabric.hpp"

namespace benchfs {

/// Outcome of an operation as the C interface gives it: a count or 0.
using Outcome = Result<std::int64_t>;

class Client {
 public:
  /// Finds the cluster and opens a session. The error is a text for the user and an errno.
  struct ConnectError {
    int error;
    std::string text;
  };
  static std::expected<std::unique_ptr<Client>, ConnectError> connect(const char* cluster);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// The session's lock, held while a thread is inside. A thread that wants in wakes one that
  /// sleeps.
  class Lock {
   public:
    explicit Lock(Client& client) : client_(client), scope_(*client.loop_) { client.acquire(); }
    ~Lock() { client_.mutex_.unlock(); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    Client& client_;
    Loop::Scope scope_;
  };
  /// Runs the task to its end, with the lock held by the caller. One thread drives the loop; others
  /// that wait meanwhile sleep until the driver finds their task done, or leaves the loop to one of
  /// them.
  template <class T>
  T run(Task<T> task) {
    run_until_done(task);
    return task.take();
  }
  template <class T>
  void run_until_done(const Task<T>& task) {
    drive([&task] { return task.done(); });
    tell_overdue();
  }
  /// To be called at the end of every blocking call: it may be the only one for a long time.
  void tell_overdue() {
    if (holds_->overdue()) holds_->tell_all();
  }
  /// One turn of the loop, without blocking; the caller holds the lock.
  bool turn();
  /// True if the progress thread is turning the loop right now, so that a call that only looks need
  /// not wait for the lock. Now and then false all the same.
  bool left_to_progress() {
    return progress_turning_.load(std::memory_order_relaxed) &&
           looks_.fetch_add(1, std::memory_order_relaxed) % 16 != 15;
  }

  // ---- operations; paths are canonical, and stay valid until the task has ended ----
  Task<Result<OpenFile*>> open(std::string_view path, std::uint32_t wire_flags, OpenMode how,
                               std::uint32_t mode, std::uint64_t chunk_bytes);
  OpenFile* adopt(std::string path, InodeId inode, std::uint64_t chunk_bytes, bool readable,
                  bool writable);
  /// A file that another process has open, and keeps open for this one, too.
  OpenFile* import(std::string path, InodeId inode, std::uint64_t chunk_bytes, bool readable,
                   bool writable);
  /// Frees the file, whatever the outcome.
  Task<Outcome> close(OpenFile* file);
  Task<Outcome> unlink(std::string_view path);
  Task<Outcome> mkdir(std::string_view path, std::uint32_t mode);
  Task<Outcome> rmdir(std::string_view path);
  Task<Outcome> symlink(std::string_view target, std::string_view path);
  /// flags: of wire::Rename.
  Task<Outcome> rename(std::string_view from, std::string_view to, std::uint32_t flags);
  /// A symbolic link at the end of `from` is not followed.
  Task<Outcome> link(std::string_view from, std::string_view to);
  /// invalid: not a symbolic link.
  Task<Result<std::string>> read_link(std::string_view path);
  /// follow: of what a symbolic link at the end of the path leads to, else of the link.
  Task<Result<wire::Attributes>> stat(std::string_view path, bool follow = true);
  /// `request`: all but the inode.
  Task<Outcome> set_attributes(std::string_view path, bool follow,
                               wire::SetAttributes::Request request);
  /// The same of an open file or directory.
  Task<Outcome> change(InodeId inode, wire::SetAttributes::Request request);
  /// access: `mode` of access(2), as far as it means anything here.
  Task<Outcome> check_access(std::string_view path, bool follow, int mode);
  /// An extended attribute: its length, and its value in `into` unless that is empty.
  Task<Outcome> get_xattr(std::string_view path, bool follow, std::string name,
                          std::span<std::byte> into);
  /// flags: of wire::SetXattr.
  Task<Outcome> set_xattr(std::string_view path, bool follow, std::string name, std::string value,
                          std::uint32_t flags);
  /// All names, each with a zero behind it; as get_xattr.
  Task<Outcome> list_xattrs(std::string_view path, bool follow, std::span<std::byte> into);
  Task<Outcome> remove_xattr(std::string_view path, bool follow, std::string name);
  Task<Result<OpenDirectory*>> open_directory(std::string_view path, bool attributes);
  /// Lists only what fits, and with `descend` all directories, too.
  Task<Result<OpenDirectory*>> open_search(std::string_view path, Match match, bool attributes,
                                           bool descend);
  /// The next entry into `entry`: 1, or 0 at the end.
  Task<Outcome> read_directory(OpenDirectory* directory, ListedEntry* entry);
  void close_directory(OpenDirectory* directory);
  Task<Result<wire::Attributes>> attributes(InodeId inode);
  /// All data of a file that is gone, at one server.
  Task<Status> drop_data(ServerIndex server, InodeId inode);
  /// operation: of wire::SetSize. Pending sizes of this session's open files are merged before, or
  /// dropped with a truncate.
  Task<Outcome> set_size(InodeId inode, std::uint64_t size, std::uint32_t operation);
  Task<Outcome> truncate(std::string_view path, std::uint64_t size);
  Task<Outcome> flush_size(OpenFile* file);
  /// attributes: of mode, owner and times, too, not only what the data need to be found.
  Task<Outcome> sync(OpenFile* file, bool attributes = true);
  /// This session has written to the file since it told the home its size.
  bool size_untold(InodeId inode) const;
  /// Of all files, by anybody, on all servers.
  Task<Outcome> sync_all();
  /// in_call: of a blocking call, which may take as long as it takes; else the task is to suspend
  /// soon.
  Task<Outcome> read(OpenFile* file, std::span<const benchfs_extent> extents,
                     std::span<const iovec> memory, bool in_call);
  Task<Outcome> write(OpenFile* file, std::span<const benchfs_extent> extents,
                      std::span<const iovec> memory, bool in_call);
  // The position of an open file, position.cc. `bytes` is the total of `memory`.
  Task<Outcome> read_next(OpenFile* file, std::span<const iovec> memory, std::uint64_t bytes);
  Task<Outcome> write_next(OpenFile* file, std::span<const iovec> memory, std::uint64_t bytes);
  /// whence: of lseek(2). The new position; kNoData.
  Task<Outcome> seek(OpenFile* file, std::int64_t offset, int whence);
  /// A write, and what O_SYNC or O_DSYNC has it wait for.
  Task<Outcome> write_through(OpenFile* file, std::span<const benchfs_extent> extents,
                              std::span<const iovec> memory, bool in_call);

  // Storage and holes, space.cc.
  /// operation: kAllocate, kZero, kPunch of wire::Allocate.
  Task<Outcome> allocate(OpenFile* file, std::uint64_t offset, std::uint64_t bytes,
                         std::uint32_t operation, bool keep_size);
  /// what: of wire::Seek. Its offset; kNoData: beyond the end, or no data before it.
  Task<Outcome> find(OpenFile* file, std::uint64_t offset, std::uint32_t what);
  static constexpr std::int64_t kNoData = -1;

  /// Bytes [first, last] of the file, from its home. `token` tells the locks of this session apart.
  Task<Outcome> lock(OpenFile* file, std::uint64_t first, std::uint64_t last, std::uint32_t mode,
                     std::uint64_t token);
  /// 1: granted; 0: not now, and why not. flags: of wire::TryLock.
  Task<Outcome> try_lock(OpenFile* file, std::uint64_t first, std::uint64_t last,
                         std::uint32_t mode, std::uint64_t token, std::uint32_t flags,
                         wire::TryLock::Reply* answer);
  Task<Outcome> unlock(OpenFile* file, std::uint64_t token);
  /// The lock of the whole file. mode: of wire::Lock; 0: none. 1: done; 0: not now, with `wait`
  /// false.
  Task<Outcome> flock(OpenFile* file, std::uint32_t mode, bool wait);
  std::uint64_t next_lock_token() { return ++lock_tokens_; }
  /// operation: of wire::SharedPointer. The outcome is the value before.
  Task<Outcome> shared_pointer(OpenFile* file, std::uint64_t key, std::int64_t value,
                               std::uint32_t operation);
  Task<Result<wire::ServerStatus::Reply>> server_status(ServerIndex server);
  Task<Result<wire::ServerSpace::Reply>> server_space(ServerIndex server);
  /// Of all servers, each of which has to answer.
  Task<Outcome> statfs(struct benchfs_statfs* into);
  /// The same for who works below the path: within its quota.
  Task<Outcome> statfs(std::string_view path, struct benchfs_statfs* into);
  // Quotas, quota.cc.
  /// no_data: none applies to it.
  Task<Result<wire::Quota::Reply>> get_quota(std::string_view path);
  /// Limits as of wire::Quota: 0 and 0 end it (no_data: none begins there). busy: the root;
  /// not_empty, not_directory: it is to have its first one; invalid: its name is not known;
  /// no_space: no more quotas.
  Task<Outcome> set_quota(std::string_view path, std::uint64_t bytes, std::uint64_t files);

  const ClusterInfo& cluster() const { return *cluster_; }
  const ClientConfig& config() const { return config_; }
  std::string_view cluster_id_text() const { return cluster_id_text_; }
  const SlotMap& map() const { return cluster_->map; }
  Caller& caller() { return *caller_; }
  Loop& loop() { return *loop_; }
  LocalAccess& local() { return *local_; }
  StagingPool& staging() { return staging_; }
  /// To be called after every change that this session makes, whatever came of it: of an entry, and
  /// of an inode (attributes, size, data).
  void forget(InodeId parent, std::string_view name) { cache_->forget(parent, name); }
  void forget(InodeId inode) { cache_->forget(inode); }
  void forget_all() { cache_->forget_all(); }
  const EntryCache& cache() const { return *cache_; }
  /// Data bytes of one message to any server.
  std::uint32_t rpc_bytes_max() const { return static_cast<std::uint32_t>(config_.rpc_bytes_max); }
  /// Data bytes of one batch of small pieces; the staging buffers have room for its table in front.
  std::uint32_t batch_bytes_max() const { return batch_bytes_max_; }
  bool busy() const { return open_files_ > 0 || open_directories_ > 0 || requests_ > 0; }
  void request_started() {
    ++requests_;
    wake_progress();
  }
  void request_ended() { --requests_; }

 private:
  struct Waiter {
    const std::function<bool()>& done;
    std::binary_semaphore wake{0};
  };
  Client() = default;
  void drive(const std::function<bool()>& done);
  void acquire() {
    if (!mutex_.try_lock()) contend();
  }
  void contend();
  void give_way();
  void wake_finished();
  void start_progress();
  void stop_progress();
  void wake_progress();
  void progress();
  /// How an operation's paths are resolved.
  struct PathUse {
    bool fresh = false;   ///< every name is asked for
    bool cached = false;  ///< a name was not
  };
  /// An operation on paths. If it finds nothing below a directory that was not asked for, because
  /// others have removed or moved that, it is done once more with every name asked for.
  template <class T, class... Args>
  Task<Result<T>> retried(Task<Result<T>> (Client::*once)(PathUse*, Args...),
                          std::type_identity_t<Args>... args) {
    PathUse use;
    auto trying = (this->*once)(&use, args...);
    const Result<T> outcome = co_await trying;
    if (outcome || !use.cached) co_return outcome;
    const Errc code = outcome.error().code;
    if (code != Errc::not_found && code != Errc::not_directory) co_return outcome;
    use.fresh = true;
    auto again = (this->*once)(&use, args...);
    const Result<T> fresh = co_await again;
    co_return fresh;
  }
  Task<Result<OpenFile*>> open_once(PathUse* use, std::string_view path, std::uint32_t wire_flags,
                                    OpenMode how, std::uint32_t mode, std::uint64_t chunk_bytes);
  Task<Outcome> unlink_once(PathUse* use, std::string_view path);
  Task<Outcome> mkdir_once(PathUse* use, std::string_view path, std::uint32_t mode);
  Task<Outcome> rmdir_once(PathUse* use, std::string_view path);
  Task<Outcome> symlink_once(PathUse* use, std::string_view target, std::string_view path);
  Task<Result<std::string>> read_link_once(PathUse* use, std::string_view path);
  Task<Result<wire::Attributes>> stat_once(PathUse* use, std::string_view path, bool follow);
  /// A path on its way to its last name. Symbolic links are resolved here, since only the client
  /// knows the directories that ".." leads back to.
  struct Walk {
    Walk(std::string_view path, PathUse* of) : use(of) { start(path); }
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;
    /// From the root, once more.
    void start(std::string_view path);
    InodeId parent() const { return above.back(); }

    std::vector<InodeId> above;  ///< from the root to where it has come
    std::string_view rest;       ///< names still to come
    std::string_view name;       ///< the last name; empty: above.back() is meant
    std::string followed;        ///< what `rest` and `name` are of, if a link was followed
    unsigned links = 0;
    PathUse* use = nullptr;
  };
  /// Goes on until only the last name is left, which is not looked up.
  Task<Status> walk_to_last(Walk* walk);
  /// Puts the target of the link `walk->name`, whose inode it is, in the place of that name.
  Task<Status> follow(Walk* walk, InodeId link);
  Task<Result<std::string>> target_of(InodeId link);
  Task<Result<Answer<wire::Lookup>>> look_up(InodeId parent, std::string_view name);
  /// A call to the server of an entry, with its name (and more) as payload; repeated with pauses
  /// while a directory is just being removed.
  template <wire::Message M>
  Task<Result<Answer<M>>> call_entry(ServerIndex server, typename M::Request request,
                                     std::string_view payload);
  ServerIndex server_of(const Walk& walk) const;
  Task<Outcome> rename_once(PathUse* use, std::string_view from, std::string_view to,
                            std::uint32_t flags);
  Task<bool> present(const Walk* walk);
  Task<Outcome> link_once(PathUse* use, std::string_view from, std::string_view to);
  Task<Result<std::uint64_t>> read_gate();
  Task<Result<wire::Quota::Reply>> call_quota(wire::Quota::Request request);
  Task<Error> name_dead(Error error, QuotaId quota);
  Task<Outcome> set_quota_once(PathUse* use, std::string_view path, std::uint64_t bytes,
                               std::uint64_t files);
  Task<Outcome> begin_quota(Walk* walk, InodeId old, std::uint64_t bytes, std::uint64_t files);
  Task<Status> copy_attributes(wire::Attributes from, wire::Attributes to);
  Task<Status> replace_directory(InodeId parent, std::string_view from, std::string_view to);
  std::optional<wire::Attributes> cached_attributes(const Walk& walk, bool follow);
  void session_opened(ServerIndex server);
  Task<void> hold_again(ServerIndex server);
  void learn_links(const wire::Attributes& attributes);
  /// Something of this session has lost a name.
  void name_lost() { ++unlinks_; }
  /// All servers have a part of its entries.
  void add_parts(OpenDirectory* directory) const;
  Task<Status> fill(OpenDirectory* directory);
  Task<Status> read_page(OpenDirectory* directory, std::size_t part);
  Task<Status> find_page(OpenDirectory* directory, std::size_t part);
  Task<Outcome> next_found(OpenDirectory* directory, ListedEntry* entry);
  Task<Result<bool>> decide(OpenDirectory* directory, ListedEntry* entry);
  Task<Outcome> flush_sizes_of(InodeId inode);
  Task<Result<OpenFile*>> open_as_file(std::string_view path, OpenMode how);
  Task<Outcome> sync_directory(OpenFile* directory);
  Task<Outcome> append(OpenFile* file, std::span<const iovec> memory, std::uint64_t bytes);
  Task<Outcome> seek_in_turn(OpenFile* file, std::int64_t offset, int whence);
  Task<Outcome> made_durable(OpenFile* file, Outcome written);
  std::vector<ServerIndex> owners_of(const OpenFile* file, std::uint64_t offset,
                                     std::uint64_t bytes) const;
  Task<Status> allocate_at(ServerIndex server, wire::Allocate::Request request);
  Task<Status> allocate_everywhere(OpenFile* file, wire::Allocate::Request request);
  Task<Result<wire::Seek::Reply>> find_at(ServerIndex server, wire::Seek::Request request);
  Task<Outcome> change_flock(OpenFile* file, std::uint32_t mode, bool wait);
  Task<Status> sync_server(ServerIndex server, InodeId inode, std::uint32_t flags);

  std::mutex mutex_;
  std::atomic<int> contenders_{0};
  bool driving_ = false;
  std::vector<Waiter*> waiters_;
  // The setting progress_thread.
  std::thread progress_;
  pid_t progress_pid_ = 0;
  std::condition_variable progress_wanted_;
  bool progress_asleep_ = false;  ///< waits for the loop's descriptor, without the lock
  bool progress_stopping_ = false;
  std::atomic<bool> progress_turning_{false};
  std::atomic<unsigned> looks_{0};
  std::uint64_t turns_called_ = 0;  ///< by benchfs_test() and benchfs_progress()
  ClientConfig config_;
  std::unique_ptr<Secret> secret_;
  std::unique_ptr<ClusterInfo> cluster_;
  std::string cluster_id_text_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Fabric> fabric_;
  std::unique_ptr<Caller> caller_;
  std::unique_ptr<LocalAccess> local_;
  std::unique_ptr<Holds> holds_;
  std::vector<bool> sessions_;  ///< by server: there has been one
  std::uint64_t unlinks_ = 0;
  StagingPool staging_;
  std::unique_ptr<EntryCache> cache_;
  std::uint32_t batch_bytes_max_ = 0;
  /// Open files by inode: a size query merges the pending size of all of them.
  std::unordered_multimap<InodeId, OpenFile*> files_;
  std::size_t open_files_ = 0;
  std::size_t open_directories_ = 0;
  std::size_t requests_ = 0;
  std::uint64_t lock_tokens_ = 0;
};

}  // namespace benchfs
