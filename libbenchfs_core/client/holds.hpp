// What this session has to tell of its closes. Homes know of opens at once (wire::Open,
// wire::Hold); of closes many are told in one message, which nobody waits for, as a file that is
// taken to be open for a little longer matters only once it loses its last name. Such closes are
// told at once.
#pragma once
#include <cstdint>
#include <vector>

#include "base/clock.hpp"
#include "base/types.hpp"
#include "loop/sync.hpp"
#include "net/caller.hpp"

namespace benchfs {

class Holds {
 public:
  /// Closes of files larger than this, or that were open longer, are not kept back.
  static constexpr std::uint64_t kSmallBytes = 64 << 10;
  static constexpr std::int64_t kLateNs = 1'000'000'000;

  explicit Holds(Caller& caller) : caller_(caller), closed_(caller.servers()) {}

  /// The file, at its home, is closed once more; told with others.
  void closed(ServerIndex home, InodeId inode);
  /// Tells what has been kept back, without waiting.
  void tell_all();
  /// The same to one server.
  void tell(ServerIndex home);
  /// Also this one; waits until its home has heard it. What cannot be told ends with the session.
  Task<void> closed_now(ServerIndex home, InodeId inode);
  /// True if something has been kept back for a second.
  bool overdue() const { return waiting_ > 0 && coarse_now_ns() - since_ns_ > kLateNs; }
  /// A new session with the server: what was closed in the one before it does not count any more.
  void forget(ServerIndex server);

  /// To be entered by what tells of opens in the background.
  Gate& background() { return background_; }
  /// Waits for what is being told.
  Task<void> close();

 private:
  Task<void> send(ServerIndex home, std::vector<InodeId> inodes);

  Caller& caller_;
  std::vector<std::vector<InodeId>> closed_;  ///< by home
  std::size_t waiting_ = 0;
  std::int64_t since_ns_ = 0;  ///< of the first that waits
  Gate background_;
};

}  // namespace benchfs
