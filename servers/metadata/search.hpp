// Searches among the entries that this server has of a directory, for `find`: what does not fit
// costs no message. See docs/adr/0019-find.md.
#pragma once
#include <vector>

#include "base/match.hpp"
#include "loop/loop.hpp"
#include "metadata/meta_store.hpp"
#include "metadata/moves.hpp"
#include "net/service.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {

/// Single-threaded. Memory: a page for each search that is being answered.
class Search {
 public:
  /// Entries that are looked at before others have a turn, and for one message: some 0.3 and 20 ms.
  static constexpr std::uint32_t kPerTurn = 128, kPerMessage = 8192;

  struct Page {
    wire::FindEntries::Reply reply{};
    std::vector<std::byte> bytes;  ///< the entries, then the name after which to go on
  };

  Search(Loop& loop, MetaStore& store, const Moves& moves, const SlotMap& map, ServerIndex self)
      : loop_(loop), store_(store), moves_(moves), map_(map), self_(self) {}
  void add_to(Dispatcher& dispatcher);
  Task<void> find_entries(Incoming incoming);

  /// `names`: as the request's payload. bad_message, invalid; not_found, not_directory where the
  /// directory's home is here.
  Task<Result<Page>> find(wire::FindEntries::Request request, std::string names);

 private:
  struct Run;
  Status look(Run& run, Page& page) const;
  /// Puts the entry into the page if it belongs there; false if there is no room.
  Result<bool> take(const Run& run, const std::string& name, Entry entry, Page& page) const;

  Loop& loop_;
  MetaStore& store_;
  const Moves& moves_;
  const SlotMap& map_;
  ServerIndex self_;
};

}  // namespace benchfs
