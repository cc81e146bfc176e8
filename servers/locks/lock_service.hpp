// The coordination messages: lock, try_lock, unlock, shared_pointer.
#pragma once
#include <memory>
#include <unordered_map>

#include "locks/lock_table.hpp"
#include "locks/shared_pointers.hpp"
#include "loop/loop.hpp"
#include "net/service.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

class LockService {
 public:
  /// Locks that one session may hold and wait for together.
  static constexpr std::size_t kPerSessionMax = 65536;

  LockService(Loop& loop, const SlotMap& map, ServerIndex self);
  void add_to(Dispatcher& dispatcher);

  Task<void> lock(Incoming incoming);
  Task<void> try_lock(Incoming incoming);
  Task<void> unlock(Incoming incoming);
  Task<void> shared_pointer(Incoming incoming);

  const LockTable& table() const { return table_; }
  SharedPointers& pointers() { return pointers_; }

 private:
  struct Wait;
  /// The process of a session that asked for locks.
  struct Process {
    std::uint64_t host_id = 0;
    std::int64_t pid = 0;
  };
  /// What has to be so before the table is asked.
  Status check(const Incoming& incoming, InodeId inode, std::uint32_t mode) const;
  void know(const Incoming& incoming);
  Loop& loop_;
  const SlotMap& map_;
  ServerIndex self_;
  LockTable table_;
  std::unordered_map<std::uint64_t, Process> processes_;  ///< by session
  SharedPointers pointers_;
};

}  // namespace benchfs
