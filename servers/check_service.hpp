// What a server tells of itself for a check of the whole file system, and the few repairs that such
// a check asks for. What is right and what is not is decided by the one who checks: only he sees
// all servers. See docs/adr/0016-fsck.md.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "loop/offload.hpp"
#include "metadata/meta_store.hpp"
#include "metadata/moves.hpp"
#include "metadata/removals.hpp"
#include "net/service.hpp"
#include "placement/slot_map.hpp"
#include "storage/chunk_store.hpp"

namespace benchfs {

/// Single-threaded.
class CheckService {
 public:
  struct Options {
    ServerIndex self = 0;
  };
  CheckService(MetaStore& store, ChunkStore& chunks, const Moves& moves, const Removals& removals,
               Offload& offload, const SlotMap& map, Options options)
      : store_(store),
        chunks_(chunks),
        moves_(moves),
        removals_(removals),
        offload_(offload),
        map_(map),
        options_(options) {}
  void add_to(Dispatcher& dispatcher);

  Task<void> scan(Incoming incoming);
  Task<void> repair(Incoming incoming);

  // The work of the handlers, without the network.
  struct Page {
    wire::Scan::Reply reply{};
    std::vector<std::byte> records;
    std::size_t room = 0;
  };
  /// bad_message, invalid (bytes_max), io.
  Task<Result<Page>> scan_page(wire::Scan::Request request, std::string name);
  /// Errors: as wire::Repair has them; stale_epoch, not_found, invalid, io, no_space.
  Task<Status> carry_out(wire::Repair::Request request, std::string name);

 private:
  Task<Status> scan_store(wire::Scan::Request request, std::string name, Page* page);
  Task<Status> scan_data(wire::Scan::Request request, Page* page);
  Task<Status> scan_intents(wire::Scan::Request request, Page* page);
  Task<Status> look(wire::Scan::Request request, std::string name, Page* page);
  Status change(const wire::Repair::Request& request, std::string_view name);
  Status set_links(const wire::Repair::Request& request);
  Status put_entry(const wire::Repair::Request& request, std::string_view name);
  Status remove_entry(const wire::Repair::Request& request, std::string_view name);

  MetaStore& store_;
  ChunkStore& chunks_;
  const Moves& moves_;
  const Removals& removals_;
  Offload& offload_;
  const SlotMap& map_;
  Options options_;
};

}  // namespace benchfs
