// The coordination messages: lock, unlock, shared_pointer.
#pragma once
#include <memory>

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
  Task<void> unlock(Incoming incoming);
  Task<void> shared_pointer(Incoming incoming);

  const LockTable& table() const { return table_; }
  SharedPointers& pointers() { return pointers_; }

 private:
  struct Wait;
  Loop& loop_;
  const SlotMap& map_;
  ServerIndex self_;
  LockTable table_;
  SharedPointers pointers_;
};

}  // namespace benchfs
