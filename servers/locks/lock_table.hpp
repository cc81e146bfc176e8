// Byte-range locks of the files whose home is this server: who holds what, who waits, who is next.
// Pure data, no network: the lock service answers those whom the table grants.
//
// Fair: a request waits for every conflicting one before it, held or waiting, so that nobody is
// overtaken by a conflicting newcomer and a stream of readers does not starve a writer.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/status.hpp"
#include "base/types.hpp"

namespace benchfs {

/// Who asked: a session and the number it chose for this lock.
struct LockOwner {
  std::uint64_t session = 0;
  std::uint64_t token = 0;
  bool operator==(const LockOwner&) const = default;
};

enum class LockMode : std::uint32_t { shared = 1, exclusive = 2 };

class LockTable {
 public:
  /// Called once: true when the lock is granted, perhaps from inside request(); false when the wait
  /// for it ends without it.
  using Outcome = std::function<void(bool granted)>;

  /// Asks for [first, last] of `inode`. Errors: invalid (first > last), exists (the owner has this
  /// token in use for the inode).
  Status request(InodeId inode, LockOwner owner, LockMode mode, std::uint64_t first,
                 std::uint64_t last, Outcome outcome);
  /// What a request would have to wait for: one that is held if there is one.
  struct Obstacle {
    LockOwner owner;
    LockMode mode;
    std::uint64_t first, last;
    bool held;
  };
  std::optional<Obstacle> obstacle(InodeId inode, LockMode mode, std::uint64_t first,
                                   std::uint64_t last) const;
  /// Gives a lock back, or ends the wait for it, and grants what that sets free. False if there is
  /// no such lock.
  bool release(InodeId inode, LockOwner owner);
  /// Releases all that a session has or waits for.
  void release_session(std::uint64_t session);

  /// Locks held and waited for, by all and by one session.
  std::size_t size() const { return size_; }
  std::size_t size_of(std::uint64_t session) const;

 private:
  struct Lock {
    LockOwner owner;
    LockMode mode;
    std::uint64_t first, last;
    bool held;
    Outcome outcome;
  };
  /// In the order of their coming.
  using Queue = std::list<Lock>;

  static bool conflict(const Lock& a, const Lock& b) {
    return (a.mode == LockMode::exclusive || b.mode == LockMode::exclusive) && a.first <= b.last &&
           b.first <= a.last;
  }
  /// Outcomes to be called, with their value, once the table is consistent: what they call may ask
  /// for locks itself.
  using Calls = std::vector<std::pair<Outcome, bool>>;
  static void collect_grants(Queue& queue, Calls& calls);
  void remove(InodeId inode, Queue& queue, Queue::iterator lock, Calls& calls);

  std::unordered_map<InodeId, Queue> files_;
  std::unordered_map<std::uint64_t, std::vector<InodeId>>
      sessions_;  ///< inode per lock of the session
  std::size_t size_ = 0;
};

}  // namespace benchfs
