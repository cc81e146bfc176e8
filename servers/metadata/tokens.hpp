// What this server has answered to others that may repeat their requests, by the token of each: so
// that a change which was asked for twice, over a crash of either side too, is made once. Private
// to metadata/.
#pragma once
#include <cstdint>
#include <deque>
#include <unordered_map>

#include "metadata/meta_store.hpp"

namespace benchfs {

/// Single-threaded. Changes are in the store's batch of this turn.
class Tokens {
 public:
  struct Answer {
    std::uint32_t outcome = 0;  ///< of wire::PlaceEntry
    Entry replaced;             ///< what an exchange gives back
    Errc reason = Errc::canceled;
  };
  /// An answer that its asker has ended is remembered for `remembered_ns`, longer than a request
  /// can be on its way.
  explicit Tokens(MetaStore& store, std::int64_t remembered_ns = 120'000'000'000)
      : store_(store), remembered_ns_(remembered_ns) {}

  /// Takes up what the last run has done.
  Status start();
  /// nullptr: it was not asked for. Valid until the next change.
  const Answer* find(std::uint64_t token) const;
  /// Recorded over a crash if it is kPlaced, that is, if something was changed.
  void add(std::uint64_t token, const Answer& answer);
  /// The batch with it was not written.
  void take_back(std::uint64_t token) { answers_.erase(token); }
  /// Its asker will not ask again; what comes late all the same gets the answer that it is
  /// canceled.
  void forget(std::uint64_t token);

 private:
  struct Forgotten {
    std::uint64_t token;
    std::int64_t since_ns;
  };
  MetaStore& store_;
  std::int64_t remembered_ns_;
  std::unordered_map<std::uint64_t, Answer> answers_;
  std::deque<Forgotten> forgotten_;  ///< oldest first
};

}  // namespace benchfs
