// The messages of names and inodes, given to the namespace and answered.
#pragma once
#include "metadata/namespace.hpp"
#include "net/service.hpp"

namespace benchfs {

/// Wiring, all of it outliving the service. The other servers are reached through an implementation
/// of DropPeers over Caller:
///     auto store = MetaStore::open({.directory = data_dir + "/meta"}, loop, offload);
///     DropQueue drops(loop, **store, **chunk_store, slot_map, peers, {.self = index});
///     Removals removals(loop, **store, slot_map, removal_peers, {.self = index});
///     Namespace names(**store, drops, removals, slot_map, {.self = index});
///     NamespaceService service(names, removals);
///     service.add_to(dispatcher);
///     co_await names.start({geteuid(), getegid()});  // before dispatcher.open()
/// and to stop: dispatcher.close(), drops.close(), removals.close(), (*store)->close(),
/// chunk_store->close().
class NamespaceService {
 public:
  NamespaceService(Namespace& names, Removals& removals) : names_(names), removals_(removals) {}
  void add_to(Dispatcher& dispatcher);

  Task<void> lookup(Incoming incoming);
  Task<void> open(Incoming incoming);
  Task<void> mkdir(Incoming incoming);
  Task<void> unlink(Incoming incoming);
  Task<void> read_directory(Incoming incoming);
  Task<void> rmdir(Incoming incoming);
  Task<void> symlink(Incoming incoming);
  Task<void> get_attributes(Incoming incoming);
  Task<void> set_size(Incoming incoming);
  Task<void> append(Incoming incoming);
  Task<void> mark_spread(Incoming incoming);
  Task<void> set_attributes(Incoming incoming);
  Task<void> read_link(Incoming incoming);
  Task<void> mark_directory(Incoming incoming);
  Task<void> hold(Incoming incoming);
  Task<void> release(Incoming incoming);

 private:
  Namespace& names_;
  Removals& removals_;
};

}  // namespace benchfs
