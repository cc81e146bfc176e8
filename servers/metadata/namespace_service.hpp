// The messages of names and inodes, given to the namespace and answered.
#pragma once
#include "metadata/namespace.hpp"
#include "net/service.hpp"

namespace benchfs {

/// Wiring, all of it outliving the service. The other servers are reached through an implementation
/// of DropPeers over Caller:
///     auto store = MetaStore::open({.directory = data_dir + "/meta"}, loop, offload);
///     DropQueue drops(loop, **store, **chunk_store, slot_map, peers, {.self = index});
///     Namespace names(**store, drops, slot_map, {.self = index, .default_chunk_bytes =
///     chunk_bytes}); NamespaceService service(names); service.add_to(dispatcher); co_await
///     names.start({geteuid(), getegid()});  // before dispatcher.open()
/// and to stop: dispatcher.close(), drops.close(), (*store)->close(), chunk_store->close().
class NamespaceService {
 public:
  explicit NamespaceService(Namespace& names) : names_(names) {}
  void add_to(Dispatcher& dispatcher);

  Task<void> lookup(Incoming incoming);
  Task<void> open(Incoming incoming);
  Task<void> mkdir(Incoming incoming);
  Task<void> unlink(Incoming incoming);
  Task<void> get_attributes(Incoming incoming);
  Task<void> set_size(Incoming incoming);
  Task<void> mark_spread(Incoming incoming);

 private:
  Namespace& names_;
};

}  // namespace benchfs
